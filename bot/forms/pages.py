"""A form as views: what fits on one page stands on one, the rest follows with Next and Back.

Every field has one block id in all drawings, so Slack keeps what was typed when a view is drawn
again. Only the fields that are asked now are drawn; `form.shown` decides which.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bot.forms.fields import ACTION, block_id, external_select, input_blocks, option
from bot.forms.form import NAME_LENGTH, Asked, Filled, Form, Section, shown
from bot.messages import notices
from bot.messages.blocks import actions, button, context, divider, header, modal, section
from bot.messages.text import LABEL, SECTION, escaped, plain
from engine import BaseField, SecretField

Json = Any
Block = dict[str, Any]

CALLBACK: Final = "request_form"
BACK: Final = "form_back"
ANEW: Final = "form_anew"
NAME_BLOCK: Final = "instance_name"
TEAM_BLOCK: Final = "team"
DEPENDENCY: Final = "dependency"
"""Prefix of the block ids that ask for services to connect to."""

PAGE_BLOCKS: Final = 90
"""Slack takes 100; the rest is for notices, the page's number and the way back."""
PAGE_BYTES: Final = 180_000
"""Slack takes 250 kB."""
TEAMS: Final = 100


@dataclass(frozen=True, slots=True)
class Meta:
    """What a view brings back: which form it is, and where in it. Goes into private_metadata."""

    kind: str
    name: str
    content_hash: str
    channel: str | None = None
    page: int = 0
    session: str | None = None

    def packed(self) -> str:
        """Return it as text: under 3000 characters, since names have at most 255."""
        short = {key: value for key, value in asdict(self).items() if value}
        return json.dumps(short, separators=(",", ":"))

    @classmethod
    def unpacked(cls, text: str) -> "Meta":
        """Read it back; ValueError where the view is not one of ours, or of another release."""
        try:
            return cls(**{"content_hash": "", **json.loads(text)})
        except TypeError as error:
            raise ValueError("the view's metadata is of another release") from error

    @property
    def subject(self) -> str:
        """What drafts are kept by."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Page:
    """The sections of one page; `head`: it also asks for name, team and dependencies."""

    head: bool
    sections: tuple[Section, ...]

    @property
    def names(self) -> frozenset[str]:
        """The fields that the page asks."""
        return frozenset(one.name for part in self.sections for one in part.fields)


def pages(form: Form, filled: Filled) -> tuple[Page, ...]:
    """Return the form's pages as things stand; at least one."""
    asked = shown(form, filled)
    kept = (_only(part, asked) for part in form.sections)
    parts = [part for part in kept if part.fields]
    room = _Room(form, filled)
    room.take(_head_size(form))
    made: list[list[Section]] = [[]]
    for part in parts:
        for piece in room.pieces(part):
            if piece is None:
                made.append([])
            else:
                made[-1].append(piece)
    return tuple(Page(at == 0, tuple(some)) for at, some in enumerate(made))


def draw(form: Form, filled: Filled, meta: Meta, notice: Sequence[Block] = ()) -> Block:
    """Return the view of page `meta.page`, `notice` first; the page number is brought in range."""
    every = pages(form, filled)
    at = min(max(meta.page, 0), len(every) - 1)
    page, last = every[at], at == len(every) - 1
    blocks = [
        *notice,
        *_number(at, len(every)),
        *(_head(form, filled) if page.head else ()),
        *(
            block
            for part in page.sections
            for block in _section(form, part, filled, kept=meta.session is not None)
        ),
        *(actions(button(notices.BACK, BACK)) if at else ()),
    ]
    return modal(
        form.title,
        blocks or [section(notices.NOTHING_ASKED)],
        callback_id=CALLBACK,
        submit=notices.SUBMIT if last else notices.NEXT,
        close=notices.CANCEL,
        private_metadata=Meta(
            form.kind, form.name, form.content_hash, meta.channel, at, meta.session
        ).packed(),
        notify_on_close=True,
    )


def page_of(form: Form, filled: Filled, name: str) -> int:
    """Return the page that asks for a field; the first for what is not a field."""
    every = pages(form, filled)
    return next((at for at, page in enumerate(every) if name in page.names), 0)


def place_of(name: str) -> str:
    """Return the id of the block that asks for a field, the name, the team or a dependency."""
    if name in {NAME_BLOCK, TEAM_BLOCK}:
        return name
    if name.startswith("dependencies."):
        return block_id(name.removeprefix("dependencies."), DEPENDENCY)
    return block_id(name)


# The first page's head


def _head(form: Form, filled: Filled) -> Iterator[Block]:
    if form.description:
        yield context(escaped(form.description, 1000))
    if form.deprecated:
        yield section(notices.deprecated(form.title, form.replaced_by))
    yield _name_block(form, filled.instance_name)
    if form.teams:
        yield _team_block(form.teams, filled.team)
    for asked in form.dependencies:
        yield _dependency_block(asked, filled.dependencies.get(asked.name))


def _head_size(form: Form) -> int:
    return 4 + len(form.dependencies)


def _name_block(form: Form, value: str | None) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": ACTION, "max_length": NAME_LENGTH}
    if value:
        element["initial_value"] = value[:NAME_LENGTH]
    return {
        "type": "input",
        "block_id": NAME_BLOCK,
        "label": plain(notices.INSTANCE_NAME),
        "hint": plain(notices.instance_name_hint(form.title), LABEL),
        "element": element,
        "optional": True,
    }


def _team_block(teams: Sequence[str], value: str | None) -> Block:
    if len(teams) == 1:
        return context(notices.team_is(teams[0]))
    choices = [option(team, team) for team in teams[:TEAMS]]
    element: Block = {
        "type": "static_select",
        "action_id": ACTION,
        "placeholder": plain(notices.CHOOSE_TEAM),
        "options": choices,
    }
    if value in teams[:TEAMS]:
        element["initial_option"] = option(str(value), str(value))
    return {
        "type": "input",
        "block_id": TEAM_BLOCK,
        "label": plain(notices.TEAM),
        "element": element,
    }


def _dependency_block(asked: Asked, value: str | None) -> Block:
    initial = option(value, value) if value else None
    hint = f"{asked.catalog_item} {asked.version or ''}".strip()
    return {
        "type": "input",
        "block_id": block_id(asked.name, DEPENDENCY),
        "label": plain(notices.connect_to(asked.name), LABEL),
        "hint": plain(hint, LABEL),
        "element": external_select(notices.CHOOSE_SERVICE, initial),
        "optional": not asked.required,
    }


# Sections


def _section(form: Form, part: Section, filled: Filled, *, kept: bool) -> Iterator[Block]:
    if part.heading:
        yield divider()
        yield header(part.heading)
    for one in part.fields:
        yield from _field(form, one, filled, kept=kept)


def _field(form: Form, one: BaseField, filled: Filled, *, kept: bool = False) -> list[Block]:
    """Draw one field; `kept`: a secret that was entered before is kept where it is left empty."""
    if one.readonly:
        return [_as_words(one)]
    value = filled.values.get(one.name)
    if isinstance(one, SecretField) and kept and value:
        one = one.model_copy(update={"required": False, "placeholder": notices.SECRET_KEPT})
    return input_blocks(one, value, controls=one.name in form.controllers)


def _as_words(one: BaseField) -> Block:
    words = notices.value_in_words(one.default)
    return section(f"*{escaped(one.title, 500)}*\n{escaped(words, SECTION - 600)}")


def _number(at: int, count: int) -> list[Block]:
    return [context(notices.page_number(at + 1, count))] if count > 1 else []


def _only(part: Section, asked: frozenset[str]) -> Section:
    return Section(part.heading, tuple(one for one in part.fields if one.name in asked))


# What fits


class _Room:
    """How much a page has room for: sections go on it whole where they can."""

    def __init__(self, form: Form, filled: Filled) -> None:
        self._form = form
        self._filled = filled
        self._blocks = PAGE_BLOCKS
        self._bytes = PAGE_BYTES

    def take(self, blocks: int, size: int = 0) -> None:
        self._blocks -= blocks
        self._bytes -= size

    def pieces(self, part: Section) -> Iterator[Section | None]:
        """Yield the section in pieces, and None where a new page begins."""
        sizes = [self._size(one) for one in part.fields]
        blocks = sum(count for count, _ in sizes) + 2
        if not self._fits(blocks, sum(size for _, size in sizes)) and blocks <= PAGE_BLOCKS:
            self._turn()
            yield None
        piece: list[BaseField] = []
        self.take(2)
        for one, size in zip(part.fields, sizes, strict=True):
            if piece and not self._fits(*size):
                yield Section(part.heading, tuple(piece))
                piece = []
                self._turn()
                yield None
                self.take(2)
            self.take(*size)
            piece.append(one)
        yield Section(part.heading, tuple(piece))

    def _fits(self, blocks: int, size: int) -> bool:
        return blocks <= self._blocks and size <= self._bytes

    def _turn(self) -> None:
        self._blocks, self._bytes = PAGE_BLOCKS, PAGE_BYTES

    def _size(self, one: BaseField) -> tuple[int, int]:
        drawn = _field(self._form, one, self._filled)
        return len(drawn), sum(
            len(json.dumps(block, ensure_ascii=False).encode()) for block in drawn
        )
