"""What a form asks (`Form`) and what stands in it (`Filled`), before either is Slack's.

A form is made of a catalog document and of the person who opens it. What stands in it are values
as they were entered: typed where Slack's element gives a type, else the text as typed (`texts`),
which the engine parses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from bot.forms.drawing import Drawings
from engine import (
    Actor,
    BaseField,
    BundlePresentation,
    CatalogDetails,
    Clock,
    MultiselectField,
    Presentation,
    SelectionField,
    Submission,
    Surroundings,
    allowed_options,
    check_values,
    default_values,
    load_presentation,
)

Json = Any

NAME_LENGTH: Final = 255
"""Longest instance name."""

OUTLINES: Final = 256
"""Documents whose forms are kept outlined in a process."""

DEPRECATED: Final = "deprecated"


@dataclass(frozen=True, slots=True)
class Section:
    """Fields under one heading; no heading where the document has no groups."""

    heading: str | None
    fields: tuple[BaseField, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A service that the new one is to be connected to."""

    name: str
    catalog_item: str
    version: str | None
    required: bool


@dataclass(frozen=True, slots=True)
class Form:
    """Everything that one document asks of one person."""

    kind: str
    name: str
    title: str
    version: str
    content_hash: str
    sections: tuple[Section, ...]
    dependencies: tuple[Asked, ...] = ()
    teams: tuple[str, ...] = ()
    description: str | None = None
    deprecated: bool = False
    replaced_by: str | None = None

    fields: tuple[BaseField, ...] = ()
    """All fields in the order of the form."""
    controllers: frozenset[str] = frozenset()
    """The fields that a condition of another one looks at."""
    drawings: Drawings = field(default_factory=Drawings, compare=False, repr=False)

    @property
    def subject(self) -> str:
        """What drafts are kept by."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in a form: None for a field that was emptied, nothing for one not seen yet.

    `texts` names the values that are still text as typed.
    """

    instance_name: str | None = None
    team: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()

    def over(self, earlier: "Filled", *, head: bool) -> "Filled":
        """Return these entries of one page laid over what the others hold.

        `head`: the page asked for name, team and dependencies.
        """
        source = self if head else earlier
        return replace(
            source,
            values={**earlier.values, **self.values},
            texts=(earlier.texts - self.values.keys()) | self.texts,
        )


def form_of(
    details: CatalogDetails, actor: Actor, narrowed: Mapping[str, Sequence[Json]] | None = None
) -> Form:
    """Return the form of a catalog item or bundle as `actor` is asked to fill it.

    `narrowed`: the values that the limits of the person's teams leave them, by field.
    """
    entry = details.entry
    outline = _outline(_Document.of(details, narrowed or {}))
    return Form(
        kind=entry.kind,
        name=entry.name,
        title=entry.display_name,
        version=entry.version,
        content_hash=details.content_hash,
        sections=outline.sections,
        dependencies=tuple(_asked(dependency) for dependency in details.dependencies),
        teams=actor.teams,
        description=entry.description,
        deprecated=entry.lifecycle == DEPRECATED,
        replaced_by=entry.replaced_by,
        fields=outline.fields,
        controllers=outline.controllers,
        drawings=outline.drawings,
    )


def untouched(form: Form, actor: Actor) -> Filled:
    """Return what stands in a form that nobody has touched: the defaults, the one team."""
    around = Surroundings(clock=Clock(user_zone=actor.time_zone))
    written = {one.name: one.default for one in form.fields if one.default is not None}
    values = {**written, **default_values(form.fields, around).values}
    return Filled(team=form.teams[0] if len(form.teams) == 1 else None, values=values)


def shown(form: Form, filled: Filled) -> frozenset[str]:
    """Return the names of the fields that are asked, given what stands in the form."""
    if not form.controllers:
        return frozenset(one.name for one in form.fields if not one.hidden)
    given = {one.name: filled.values.get(one.name) for one in form.fields if _is_asked(one)}
    checked = check_values(form.fields, given, texts=filled.texts & given.keys(), partial=True)
    return frozenset(
        one.name for one in form.fields if one.name not in checked.dropped and not one.hidden
    )


def submission(
    form: Form, filled: Filled, *, idempotency_key: str | None, origin_channel: str | None
) -> Submission:
    """Return what the engine is handed: only fields that are asked."""
    asked = shown(form, filled)
    given = {
        one.name: filled.values.get(one.name)
        for one in form.fields
        if one.name in asked and _is_asked(one)
    }
    bundle = form.kind == "CatalogBundle"
    return Submission(
        parameters=given,
        item=None if bundle else form.name,
        bundle=form.name if bundle else None,
        instance_name=filled.instance_name,
        team=filled.team,
        dependencies=filled.dependencies,
        texts=filled.texts & given.keys(),
        content_hash=form.content_hash,
        idempotency_key=idempotency_key,
        origin_channel=origin_channel,
    )


@dataclass(frozen=True, slots=True)
class _Document:
    """A presentation as some people see it, told apart by its document, what it says, and to whom."""

    kind: str
    name: str
    content_hash: str
    written: int
    presentation: Mapping[str, Json] = field(compare=False)
    narrowed: Mapping[str, Sequence[Json]] = field(compare=False)

    @classmethod
    def of(cls, details: CatalogDetails, narrowed: Mapping[str, Sequence[Json]]) -> "_Document":
        entry, presentation = details.entry, details.presentation
        written = hash((repr(presentation), repr(sorted(narrowed.items()))))
        return cls(entry.kind, entry.name, details.content_hash, written, presentation, narrowed)


@dataclass(frozen=True, slots=True)
class _Outline:
    """What a form is for everybody."""

    sections: tuple[Section, ...]
    fields: tuple[BaseField, ...]
    controllers: frozenset[str]
    drawings: Drawings


@lru_cache(maxsize=OUTLINES)
def _outline(document: _Document) -> _Outline:
    sections = tuple(
        Section(part.heading, tuple(_narrowed(one, document.narrowed) for one in part.fields))
        for part in _sections(load_presentation(document.presentation))
    )
    fields = tuple(one for section in sections for one in section.fields)
    looked_at = (name for one in fields if one.conditional for name in one.conditional.names())
    return _Outline(sections, fields, frozenset(looked_at), Drawings())


def _narrowed(one: BaseField, narrowed: Mapping[str, Sequence[Json]]) -> BaseField:
    """Return the field with the options that are left; of a fetched list the menu leaves them out."""
    if one.name not in narrowed or not isinstance(one, SelectionField | MultiselectField):
        return one
    around = Surroundings(narrowed=narrowed)
    left = None if one.options_from else allowed_options(one, around)
    if not left:
        return one
    kept = default_values([one], around).values
    return one.model_copy(
        update={
            "oneof" if isinstance(one, SelectionField) else "options": tuple(left),
            "default": one.default if one.name in kept else None,
        }
    )


def _sections(presentation: Presentation | BundlePresentation) -> Iterator[Section]:
    grouped = presentation.groups or ()
    loose = presentation.all_fields[: len(presentation.all_fields) - sum(map(_size, grouped))]
    if loose:
        yield Section(None, loose)
    for group in grouped:
        yield Section(group.heading, group.fields)


def _size(group: Any) -> int:
    return len(group.fields)


def _asked(dependency: Mapping[str, Json]) -> Asked:
    return Asked(
        name=str(dependency.get("name") or dependency["catalog_item"]),
        catalog_item=str(dependency["catalog_item"]),
        version=dependency.get("version"),
        required=bool(dependency.get("required", True)),
    )


def _is_asked(one: BaseField) -> bool:
    """Tell whether a person may fill the field in; else its default is stored."""
    return not one.hidden and not one.readonly
