"""A request form between its opening and the submission.

A form is drawn anew from the catalog at each step, from what the view holds and what earlier pages
held; nothing about it is kept in this process. Whatever is wrong is said where it can be mended,
and what was entered stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.forms import sessions
from bot.forms.errors import Findings, field_errors, sort_out
from bot.forms.fields import OTHER
from bot.forms.form import Filled, Form, form_of, submission, untouched
from bot.forms.pages import CALLBACK, Meta, draw, pages, place_of
from bot.forms.reading import asked_by, read_view
from bot.listening import Call, Close, Errors, Outcome, Show, notice_view
from bot.messages import notices
from bot.messages.blocks import section
from engine import (
    CatalogDetails,
    FieldError,
    InvalidInput,
    NotFound,
    PaoError,
    RequestView,
    StaleForm,
    Submission,
)

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    """A form that came back from Slack: what it asks now, what stands in it."""

    details: CatalogDetails
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

    def draw(self, page: int, notice: Sequence[Block] = ()) -> Block:
        """Draw the form again."""
        return draw(self.form, self.filled, replace(self.meta, page=page), notice)


async def on_answer(call: Call) -> None:
    """Draw the page again where an answer changes what is asked."""
    if (call.body.get("view") or {}).get("callback_id") != CALLBACK:
        return
    here = await _opened(call)
    if _missing(here) or _superfluous(here) or here.is_stale:
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
    meta = Meta(here.form.kind, here.form.name, here.form.content_hash, here.meta.channel)
    fresh = draw(here.form, untouched(here.form, actor), meta)
    client, view_id = call.services.client, call.body["view"]["id"]
    await client.views_update(view_id=view_id, view=notice_view(notices.LOADING))
    await client.views_update(view_id=view_id, view=fresh)


async def on_closed(call: Call) -> None:
    """Keep what was entered as a draft."""
    here = await _opened(call)
    actor = await call.actor()
    if here.filled != untouched(here.form, actor):
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
    key = f"slack:{here.view['id']}:{here.view['hash']}"
    handed_in = submission(
        here.form, here.filled, idempotency_key=key, origin_channel=here.meta.channel
    )
    engine, actor = call.services.engine, await call.actor()
    found = sort_out(await engine.check(actor, handed_in), here.asked)
    if at < len(every) - 1:
        if found.here:
            return _errors(here, found)
        kept = await _kept(call, here)
        return Show(kept.draw(at + 1))
    if found.here:
        return _errors(here, found)
    if found.elsewhere:
        return await _lead_to(call, here, found)
    return await _submitted(call, here, handed_in)


async def _submitted(call: Call, here: Open, handed_in: Submission) -> Outcome:
    engine, actor = call.services.engine, await call.actor()
    try:
        view = await engine.submit(actor, handed_in)
    except InvalidInput as refusal:
        found = sort_out(field_errors(refusal), here.asked)
        return _errors(here, found) if found.here else _refused(here, refusal)
    except StaleForm:
        again = await _opened(call)
        return Show(again.draw(again.meta.page, _changes(again)))
    except PaoError as problem:
        return _refused(here, problem)
    return Close(then=lambda: _confirm(call, here, view), everything=True)


async def _confirm(call: Call, here: Open, view: RequestView) -> None:
    """Forget the draft, and say where the card is when it is not where the form was opened."""
    await sessions.forget(call.services.engine, await call.actor(), here.form)
    opened_in = here.meta.channel
    if opened_in and view.channel not in {None, opened_in}:
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
    actor, engine = await call.actor(), call.services.engine
    try:
        details = await engine.catalog_entry(actor, meta.name, meta.kind)
    except NotFound as gone:
        raise NotFound(
            f"{meta.name} is no longer in the catalog",
            "a sync removed it while this form was open; nothing was ordered",
            "Look for something else with /pao catalog, or ask the team that owns it",
        ) from gone
    form = form_of(details, actor, engine.narrowed(actor, details))
    earlier, expired = untouched(form, actor), False
    if meta.session:
        kept = await sessions.find(engine, actor, meta.session)
        earlier, expired = (kept.filled, False) if kept else (earlier, True)
    return Open(details, form, read_view(form, view, earlier), meta, view, expired)


async def _kept(call: Call, here: Open) -> Open:
    """Keep what stands in the form for its other pages."""
    session = await sessions.keep(
        call.services.engine, await call.actor(), here.form, here.filled, here.meta.session
    )
    return replace(here, meta=replace(here.meta, session=session))


def _drawn_names(here: Open) -> frozenset[str]:
    every = pages(here.form, here.filled)
    page = every[min(here.meta.page, len(every) - 1)]
    return frozenset(
        place_of(one.name) for part in page.sections for one in part.fields if not one.readonly
    )


def _missing(here: Open) -> frozenset[str]:
    """Return the blocks that the answers ask for and the person has not seen."""
    return _drawn_names(here) - here.asked


def _superfluous(here: Open) -> frozenset[str]:
    """Return the blocks of fields that the answers have made needless."""
    fields = {place_of(one.name) for one in here.form.fields}
    return (here.asked & fields) - _drawn_names(here)


def _changes(here: Open) -> list[Block]:
    """Tell what a sync changed since the form was drawn; nothing where it did not."""
    if not here.is_stale:
        return []
    labels = {place_of(one.name): one.title for one in here.form.fields}
    before = [
        block["label"]["text"]
        for block in here.view["blocks"]
        if block["type"] == "input" and block["element"]["action_id"] != OTHER
    ]
    now = [labels[place] for place in _drawn_names(here) if place in labels]
    own = {notices.INSTANCE_NAME, notices.TEAM}
    return [section(notices.form_changed(here.details, (x for x in before if x not in own), now))]
