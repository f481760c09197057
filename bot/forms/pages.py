"""A form as views: what fits on one page stands on one, the rest follows with Next and Back.

Every field has one block id in all drawings, so Slack keeps what was typed when a view is drawn
again. Only the fields that are asked now are drawn; `form.shown` decides which.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.forms.drawing import Drawn, measured
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
HEADING_BLOCKS: Final = 2
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
        short = {key: value for key in self.__slots__ if (value := getattr(self, key))}
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
    blocks: tuple[Block, ...]
    """The sections, drawn."""

    @property
    def names(self) -> frozenset[str]:
        """The fields that the page asks."""
        return frozenset(one.name for part in self.sections for one in part.fields)


def pages(form: Form, filled: Filled, *, kept: bool = False) -> tuple[Page, ...]:
    """Return the form's pages as things stand; at least one.

    `kept`: what earlier pages held is kept, so a secret may be left empty.
    """
    asked = shown(form, filled)
    shelf = _Shelf(form, filled, kept=kept)
    for part in form.sections:
        fields = [one for one in part.fields if one.name in asked]
        if fields:
            shelf.put(part.heading, fields)
    return shelf.pages()


def draw(form: Form, filled: Filled, meta: Meta, notice: Sequence[Block] = ()) -> Block:
    """Return the view of page `meta.page`, `notice` first; the page number is brought in range."""
    every = pages(form, filled, kept=meta.session is not None)
    at = min(max(meta.page, 0), len(every) - 1)
    page, last = every[at], at == len(every) - 1
    blocks = [
        *notice,
        *_number(at, len(every)),
        *(_head(form, filled) if page.head else ()),
        *page.blocks,
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


def _field(form: Form, one: BaseField, filled: Filled, *, kept: bool = False) -> Drawn:
    """Draw one field; `kept`: a secret that was entered before is kept where it is left empty."""
    if one.readonly:
        return measured([_as_words(one)])
    value = filled.values.get(one.name)
    controls = one.name in form.controllers
    if not isinstance(one, SecretField):
        return form.drawings.of(one, value, controls=controls)
    if not (kept and value):
        return form.drawings.of(one, None, controls=controls)
    optional = one.model_copy(update={"required": False, "placeholder": notices.SECRET_KEPT})
    return measured(input_blocks(optional, None, controls=controls))


def _as_words(one: BaseField) -> Block:
    words = notices.value_in_words(one.default)
    return section(f"*{escaped(one.title, 500)}*\n{escaped(words, SECTION - 600)}")


def _number(at: int, count: int) -> list[Block]:
    return [context(notices.page_number(at + 1, count))] if count > 1 else []


# What fits


class _Shelf:
    """Pages being filled: a section goes on one whole where it can."""

    def __init__(self, form: Form, filled: Filled, *, kept: bool) -> None:
        self._form, self._filled, self._kept = form, filled, kept
        self._pages: list[tuple[list[Section], list[Block]]] = [([], [])]
        self._blocks_left = PAGE_BLOCKS - _head_size(form)
        self._bytes_left = PAGE_BYTES

    def put(self, heading: str | None, fields: Sequence[BaseField]) -> None:
        """Put a section on the page at hand, on the next one, or on as many as it needs."""
        drawn = [_field(self._form, one, self._filled, kept=self._kept) for one in fields]
        blocks = sum(len(one.blocks) for one in drawn) + HEADING_BLOCKS
        size = sum(one.size for one in drawn)
        if not self._fits(blocks, size) and blocks <= PAGE_BLOCKS:
            self._turn()
        piece = self._begin(heading)
        for one, its in zip(fields, drawn, strict=True):
            if piece and not self._fits(len(its.blocks), its.size):
                self._end(heading, piece)
                self._turn()
                piece = self._begin(heading)
            piece.append(one)
            self._add(its.blocks, its.size)
        self._end(heading, piece)

    def pages(self) -> tuple[Page, ...]:
        """Return what was filled."""
        return tuple(
            Page(at == 0, tuple(sections), tuple(blocks))
            for at, (sections, blocks) in enumerate(self._pages)
        )

    def _begin(self, heading: str | None) -> list[BaseField]:
        if heading:
            self._add((divider(), header(heading)), 0)
        return []

    def _end(self, heading: str | None, fields: Sequence[BaseField]) -> None:
        self._pages[-1][0].append(Section(heading, tuple(fields)))

    def _add(self, blocks: Sequence[Block], size: int) -> None:
        self._pages[-1][1].extend(blocks)
        self._blocks_left -= len(blocks)
        self._bytes_left -= size

    def _fits(self, blocks: int, size: int) -> bool:
        return blocks <= self._blocks_left and size <= self._bytes_left

    def _turn(self) -> None:
        self._pages.append(([], []))
        self._blocks_left, self._bytes_left = PAGE_BLOCKS, PAGE_BYTES
