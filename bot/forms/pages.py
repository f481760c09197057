"""A form as views: what fits on one page stands on one, the rest follows with Next and Back.

    head, own fields -> (more of them) -> a component's fields -> ... -> the summary of a bundle

Every field has one block id in all drawings, so Slack keeps what was typed when a view is drawn
again. Only the fields that are asked now are drawn; `form.shown` decides which.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.forms.drawing import Drawn, measured
from bot.forms.elements import ACTION
from bot.forms.form import Filled, Form, connections, enabled, shown
from bot.forms.heads import dependency_block, head, head_size
from bot.forms.meta import Meta
from bot.forms.parts import Part, Section, qualified
from bot.forms.places import CONFIRMATION_BLOCK
from bot.forms.summary import fixed_in_words, summary
from bot.messages import asking, notices
from bot.messages.blocks import actions, button, context, divider, header, modal, section
from bot.messages.text import LABEL, SECTION, escaped, plain
from bot.messages.values import value_in_words
from engine import BaseField, RequestView, SecretField

Json = Any
Block = dict[str, Any]
Named = tuple[str, BaseField]
"""A field with its qualified name."""

CALLBACK: Final = "request_form"
BACK: Final = "form_back"
ANEW: Final = "form_anew"

PAGE_BLOCKS: Final = 90
"""Slack takes 100; the rest is for notices, the page's number, a confirmation and the way back."""
PAGE_BYTES: Final = 180_000
"""Slack takes 250 kB."""
HEADING_BLOCKS: Final = 2


@dataclass(frozen=True, slots=True)
class Page:
    """The sections of one page of a part, drawn; no part: the summary."""

    part: Part | None
    sections: tuple[Section, ...] = ()
    blocks: tuple[Block, ...] = ()
    connections: frozenset[str] = frozenset()
    """Qualified names of the services to connect to, which a component's first page asks for."""

    @property
    def is_summary(self) -> bool:
        """Whether it sums up what was entered."""
        return self.part is None

    @property
    def names(self) -> frozenset[str]:
        """The qualified names of the fields on the page."""
        return frozenset(name for name, _ in self.named())

    def named(self) -> Iterator[tuple[str, BaseField]]:
        """Yield the page's fields with their qualified names."""
        for group in self.sections:
            yield from group.named


def pages(form: Form, filled: Filled, *, kept: bool = False) -> tuple[Page, ...]:
    """Return the form's pages as things stand; at least one.

    `kept`: what earlier pages held is kept, so a secret may be left empty.
    """
    asked, on = shown(form, filled), enabled(form, filled)
    connected = connections(form, filled)
    shelf = _Shelf(form, filled, kept=kept)
    for part in form.parts:
        if part.switch is None:
            shelf.put_part(part, asked)
        elif part.key in on:
            shelf.put_component(part, asked, connected)
    return (*shelf.pages(), *([Page(None)] if form.has_summary else ()))


def draw(
    form: Form,
    filled: Filled,
    meta: Meta,
    notice: Sequence[Block] = (),
    dry_run: RequestView | None = None,
) -> Block:
    """Return the view of page `meta.page`, `notice` first; the page number is brought in range.

    `dry_run` is the request as it would be, for the summary.
    """
    every = pages(form, filled, kept=meta.session is not None)
    at = min(max(meta.page, 0), len(every) - 1)
    page, is_last = every[at], at == len(every) - 1
    blocks = [
        *notice,
        *_number(at, len(every)),
        *(head(form, filled) if at == 0 else ()),
        *(summary(form, filled, dry_run) if page.is_summary else page.blocks),
        *(_confirmation(form, filled) if is_last else ()),
        *(actions(button(notices.BACK, BACK)) if at else ()),
    ]
    submit = asking.SUBMIT_WORDS.get(form.purpose, notices.SUBMIT)
    return modal(
        form.title,
        blocks or [section(notices.NOTHING_ASKED)],
        callback_id=CALLBACK,
        submit=submit if is_last else notices.NEXT,
        close=notices.CANCEL,
        private_metadata=replace(
            meta, content_hash=form.content_hash, page=at, count=len(every)
        ).packed(),
        notify_on_close=True,
    )


def page_of(form: Form, filled: Filled, name: str) -> int:
    """Return the page that asks for a field or a connection; the first for what is neither."""
    every = pages(form, filled)
    wanted = (at for at, page in enumerate(every) if name in page.names | page.connections)
    return next(wanted, 0)


def _confirmation(form: Form, filled: Filled) -> list[Block]:
    """Ask for the instance's name, where what is ordered destroys something or stops it."""
    if form.confirmed_by is None:
        return []
    element: Block = {"type": "plain_text_input", "action_id": ACTION}
    if filled.confirmation:
        element["initial_value"] = filled.confirmation[:3000]
    return [
        {
            "type": "input",
            "block_id": CONFIRMATION_BLOCK,
            "label": plain(asking.CONFIRM),
            "hint": plain(asking.confirm_hint(form.confirmed_by), LABEL),
            "element": element,
        }
    ]


def _number(at: int, count: int) -> list[Block]:
    return [context(notices.page_number(at + 1, count))] if count > 1 else []


# Sections


def _field(part: Part, name: str, one: BaseField, filled: Filled, *, kept: bool) -> Drawn:
    """Draw one field; a secret that is known (`kept`: from a page before) may be left empty."""
    if one.readonly:
        return measured([_as_words(one)])
    value = filled.values.get(name)
    if not isinstance(one, SecretField):
        return part.drawings.of(one, value)
    if kept and value:
        words = notices.SECRET_KEPT
    elif one.name in part.kept:
        words = asking.SECRET_STAYS
    else:
        return part.drawings.of(one, None)
    optional = one.model_copy(update={"required": False, "placeholder": words})
    return part.drawings.anew(optional, None)


def _as_words(one: BaseField) -> Block:
    words = value_in_words(one.default)
    return section(f"*{escaped(one.title, 500)}*\n{escaped(words, SECTION - 600)}")


def _component_heading(part: Part) -> list[Block]:
    """Head a component's page, and tell what is not asked because the bundle gives it."""
    given = [
        (one.title, fixed_in_words(part, one)) for one in part.fields if one.name in part.fixed
    ]
    return [header(part.title), *([context(asking.fixed(given))] if given else ())]


# What fits


class _Shelf:
    """Pages being filled: a section goes on one whole where it can."""

    def __init__(self, form: Form, filled: Filled, *, kept: bool) -> None:
        self._filled, self._kept = filled, kept
        self._part = form.own
        self._pages: list[tuple[Part, list[Section], list[Block]]] = [(form.own, [], [])]
        self._connected: dict[int, frozenset[str]] = {}
        self._blocks_left = PAGE_BLOCKS - head_size(form)
        self._bytes_left = PAGE_BYTES

    def put_part(self, part: Part, asked: frozenset[str]) -> None:
        """Put what a part asks on the shelf, from where it is filled to."""
        for group in part.sections:
            named = [pair for pair in group.named if pair[0] in asked]
            if named:
                self._put(group.heading, named)

    def put_component(self, part: Part, asked: frozenset[str], connected: frozenset[str]) -> None:
        """Begin a page for a component, unless it asks nothing."""
        services = [one for one in part.dependencies if qualified(part.key, one.name) in connected]
        if not services and asked.isdisjoint(part.askable):
            return
        self._part = part
        self._turn()
        self._add(_component_heading(part), 0)
        self._add([dependency_block(part, one, self._filled) for one in services], 0)
        self._connected[len(self._pages) - 1] = frozenset(
            qualified(part.key, one.name) for one in services
        )
        self.put_part(part, asked)

    def pages(self) -> tuple[Page, ...]:
        """Return what was filled."""
        return tuple(
            Page(part, tuple(sections), tuple(blocks), self._connected.get(at, frozenset()))
            for at, (part, sections, blocks) in enumerate(self._pages)
        )

    def _put(self, heading: str | None, named: Sequence[Named]) -> None:
        """Put a section on the page at hand, on the next one, or on as many as it needs."""
        part, filled, kept = self._part, self._filled, self._kept
        drawn = [_field(part, name, one, filled, kept=kept) for name, one in named]
        blocks = [block for one in drawn for block in one.blocks]
        count, size = len(blocks) + HEADING_BLOCKS, sum([one.size for one in drawn])
        if not self._fits(count, size) and count <= PAGE_BLOCKS and self._pages[-1][1]:
            self._turn()
        if self._fits(count, size):
            self._begin(heading)
            self._add(blocks, size)
            self._end(heading, named)
        else:
            self._put_torn(heading, named, drawn)

    def _put_torn(
        self, heading: str | None, named: Sequence[Named], drawn: Sequence[Drawn]
    ) -> None:
        piece = self._begin(heading)
        for one, its in zip(named, drawn, strict=True):
            if piece and not self._fits(len(its.blocks), its.size):
                self._end(heading, piece)
                self._turn()
                piece = self._begin(heading)
            piece.append(one)
            self._add(its.blocks, its.size)
        self._end(heading, piece)

    def _begin(self, heading: str | None) -> list[Named]:
        if heading:
            self._add((divider(), header(heading)), 0)
        return []

    def _end(self, heading: str | None, named: Sequence[Named]) -> None:
        self._pages[-1][1].append(Section(heading, tuple(named)))

    def _add(self, blocks: Sequence[Block], size: int) -> None:
        self._pages[-1][2].extend(blocks)
        self._blocks_left -= len(blocks)
        self._bytes_left -= size

    def _fits(self, blocks: int, size: int) -> bool:
        return blocks <= self._blocks_left and size <= self._bytes_left

    def _turn(self) -> None:
        self._pages.append((self._part, [], []))
        self._blocks_left, self._bytes_left = PAGE_BLOCKS, PAGE_BYTES
