"""A form between its opening and its last button.

A form is drawn anew at each step, from what the engine says it asks (subjects.py), what the view
holds and what earlier pages held; nothing about it is kept in this process. Whatever is wrong is
said where it can be mended, and what was entered stays.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.forms import sessions
from bot.forms.elements import OTHER
from bot.forms.errors import Findings, field_errors, sort_out
from bot.forms.form import Filled, Form, untouched
from bot.forms.meta import Meta
from bot.forms.pages import CALLBACK, Page, draw, pages
from bot.forms.places import asks_a_field, place_of
from bot.forms.reading import asked_by, read_view
from bot.listening import Call, Close, Errors, Outcome, Show, notice_view
from bot.messages import asking, notices
from bot.messages.blocks import section
from engine import FieldError, InvalidInput, PaoError, RequestView, StaleForm
from handlers import subjects
from handlers.subjects import SUBJECTS, Handed

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    """A form that came back from Slack: what it asks now, what stands in it."""

    form: Form
    filled: Filled
    meta: Meta
    view: Mapping[str, Any]
    expired: bool = False

    @property
    def asked(self) -> frozenset[str]:
        """The ids of the input blocks that the person saw."""
        return asked_by(self.view)

    @property
    def is_stale(self) -> bool:
        """Whether the catalog has moved since the form was drawn."""
        return self.meta.content_hash != self.form.content_hash

    @property
    def page(self) -> Page:
        """The page at hand as it would be drawn now."""
        every = pages(self.form, self.filled)
        return every[min(self.meta.page, len(every) - 1)]

    @property
    def handed(self) -> Handed:
        """What is judged and handed in."""
        key = f"slack:{self.view['id']}:{self.view['hash']}"
        return Handed(self.form, self.filled, self.meta, key)

    def draw(
        self, page: int, notice: Sequence[Block] = (), dry_run: RequestView | None = None
    ) -> Block:
        """Draw the form again."""
        return draw(self.form, self.filled, replace(self.meta, page=page), notice, dry_run)


async def on_answer(call: Call) -> None:
    """Draw the page again where an answer changes what is asked."""
    if (call.body.get("view") or {}).get("callback_id") != CALLBACK:
        return
    here = await _opened(call)
    count = len(pages(here.form, here.filled))
    if _missing(here) or _superfluous(here) or here.is_stale or count != here.meta.count:
        await call.update(here.draw(here.meta.page, _changes(here)))


async def on_back(call: Call) -> None:
    """Keep this page and show the one before it."""
    here = await _kept(call, await _opened(call))
    await call.update(here.draw(here.meta.page - 1, _changes(here)))


async def on_anew(call: Call) -> None:
    """Forget the draft, and show the form as nobody has touched it.

    Slack keeps what stands in a block of the same id, so the emptied form is another view.
    """
    here = await _opened(call)
    actor, engine = await call.actor(), call.services.engine
    await sessions.forget(engine, actor, here.form)
    fresh = draw(here.form, untouched(here.form, actor), replace(here.meta, page=0, session=None))
    client, view_id = call.services.client, call.body["view"]["id"]
    await client.views_update(view_id=view_id, view=notice_view(notices.LOADING))
    await client.views_update(view_id=view_id, view=fresh)


async def on_closed(call: Call) -> None:
    """Keep what was entered as a draft; what cannot be ordered any more leaves none."""
    try:
        here = await _opened(call)
    except PaoError:
        return
    actor = await call.actor()
    if here.filled.differs(untouched(here.form, actor)):
        await sessions.keep(
            call.services.engine,
            actor,
            here.form,
            here.filled,
            here.meta.session,
            with_secrets=False,
        )


async def on_submit(call: Call) -> Outcome:
    """Go to the next page, or submit; whatever is wrong is said where it can be mended."""
    try:
        here = await _opened(call)
    except (ValueError, KeyError):
        return Show(notice_view(notices.OLD_VIEW))
    if here.expired:
        return Show(here.draw(0, [section(notices.EXPIRED_FORM)]))
    if here.is_stale:
        return Show(here.draw(here.meta.page, _changes(here)))
    if _missing(here):
        return Show(here.draw(here.meta.page, [section(notices.MORE_IS_ASKED)]))
    return await _judged(call, here)


async def _judged(call: Call, here: Open) -> Outcome:
    every = pages(here.form, here.filled)
    at = min(here.meta.page, len(every) - 1)
    errors = await SUBJECTS[here.meta.purpose].judge(call, here.handed)
    found = sort_out(here.form, errors, here.asked)
    if found.here:
        return _errors(here, found)
    left = every[at + 1 :]
    if left and not left[0].is_summary:
        return Show((await _kept(call, here)).draw(at + 1))
    if found.elsewhere:
        return await _lead_to(call, here, found)
    return await (_summed_up(call, here, at + 1) if left else _handed_in(call, here))


async def _summed_up(call: Call, here: Open, page: int) -> Outcome:
    """Show the last page: everything that was entered, and what it would do."""
    kept = await _kept(call, here)

    async def tried() -> Outcome:
        would_be = await subjects.dry_run(call, kept.handed)
        return Show(kept.draw(page, dry_run=would_be))

    return await _or_what_is_wrong(call, kept, tried)


async def _handed_in(call: Call, here: Open) -> Outcome:
    async def done() -> Outcome:
        view = await SUBJECTS[here.meta.purpose].hand_in(call, here.handed)
        return Close(then=lambda: _confirm(call, here, view), everything=True)

    return await _or_what_is_wrong(call, here, done)


async def _or_what_is_wrong(
    call: Call, here: Open, work: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Do the work; say a refusal under its field, else above the form, which stays."""
    try:
        return await work()
    except InvalidInput as refusal:
        found = sort_out(here.form, field_errors(refusal), here.asked)
        if found.here:
            return _errors(here, found)
        return await _lead_to(call, here, found) if refusal.errors else _refused(here, refusal)
    except StaleForm:
        again = await _opened(call)
        return Show(again.draw(again.meta.page, _changes(again)))
    except PaoError as problem:
        return _refused(here, problem)


async def _confirm(call: Call, here: Open, view: RequestView) -> None:
    """Forget the draft, and say where the card is when it is not where the form was opened."""
    await sessions.forget(call.services.engine, await call.actor(), here.form)
    opened_in = here.meta.channel
    if not opened_in:
        return
    if here.meta.purpose in {"resume", "retry"}:
        await call.whisper(opened_in, notices.goes_on(view))
    elif view.channel not in {None, opened_in}:
        await call.whisper(opened_in, notices.told_elsewhere(view))


async def _lead_to(call: Call, here: Open, found: Findings) -> Outcome:
    """Show the page that holds the first field that is wrong."""
    kept = await _kept(call, here) if len(pages(here.form, here.filled)) > 1 else here
    page = found.page(here.form, here.filled)
    return Show(kept.draw(page, [section(notices.not_accepted(found.elsewhere))]))


def _errors(here: Open, found: Findings) -> Errors:
    told = [FieldError(place, words, "") for place, words in found.here.items()]
    late = here.draw(here.meta.page, [section(notices.not_accepted(told))])
    return Errors(found.here, late)


def _refused(here: Open, problem: PaoError) -> Outcome:
    return Show(here.draw(here.meta.page, [section(notices.error(problem))]))


async def _opened(call: Call) -> Open:
    """Read the view at hand. NotFound where its document is gone; ValueError for an old view."""
    view = call.body["view"]
    meta = Meta.unpacked(view["private_metadata"])
    form = await subjects.load(call, meta)
    actor, engine = await call.actor(), call.services.engine
    earlier, expired = untouched(form, actor), False
    if meta.session:
        kept = await sessions.find(engine, actor, meta.session)
        earlier, expired = (kept.filled.over(earlier), False) if kept else (earlier, True)
        meta = meta if kept else replace(meta, session=None)
    filled = read_view(form, view, earlier)
    return Open(await subjects.settled(call, form, filled), filled, meta, view, expired)


async def _kept(call: Call, here: Open) -> Open:
    """Keep what stands in the form for its other pages."""
    session = await sessions.keep(
        call.services.engine, await call.actor(), here.form, here.filled, here.meta.session
    )
    return replace(here, meta=replace(here.meta, session=session))


def _drawn_places(here: Open) -> dict[str, str]:
    """Return the blocks of fields on the page at hand, as things stand, with their labels."""
    return {place_of(name): one.title for name, one in here.page.named() if not one.readonly}


def _missing(here: Open) -> frozenset[str]:
    """Return the blocks that the answers ask for and the person has not seen."""
    return frozenset(_drawn_places(here)) - here.asked


def _superfluous(here: Open) -> frozenset[str]:
    """Return the blocks of fields that the answers have made needless."""
    fields = {place_of(part.name_of(one)) for part, one in here.form.every_field()}
    return (here.asked & fields) - _drawn_places(here).keys()


def _changes(here: Open) -> list[Block]:
    """Tell what a sync changed since the form was drawn; nothing where it did not."""
    if not here.is_stale:
        return []
    before = [
        block["label"]["text"]
        for block in here.view["blocks"]
        if block["type"] == "input"
        and asks_a_field(block["block_id"])
        and block["element"]["action_id"] != OTHER
    ]
    now = list(_drawn_places(here).values())
    return [section(asking.form_changed(here.form.title, here.form.version, before, now))]
