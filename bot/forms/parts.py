"""What one document asks: its own part of a form, or the part of a component of a bundle.

A part is the same for everybody whose teams have the same limits, so it is outlined once and kept.
Within a form a field goes by its qualified name: `size` in the document's own part,
`database.size` in the part of the component `database`. The last dot parts the two, since a field's
name has none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from bot.forms.drawing import Drawings
from engine import (
    BaseField,
    BundlePresentation,
    CatalogDetails,
    ComponentForm,
    Condition,
    MultiselectField,
    Presentation,
    SelectionField,
    Surroundings,
    allowed_options,
    default_values,
    load_presentation,
)

Json = Any

OUTLINES: Final = 512
"""Parts that are kept outlined in a process."""

OWN: Final = ""
"""Key of a document's own part."""


@dataclass(frozen=True, slots=True)
class Section:
    """Fields under one heading; no heading where the document has no groups."""

    heading: str | None
    named: tuple[tuple[str, BaseField], ...]
    """Each field with its qualified name."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether a component is ordered: always, by a condition over the bundle's fields, or as chosen."""

    always: bool
    at_first: bool = False
    condition: Condition | None = None
    about: str | None = None

    @property
    def is_chosen(self) -> bool:
        """Whether the person chooses."""
        return not self.always and self.condition is None


@dataclass(frozen=True, slots=True)
class Asked:
    """A service that the new one is to be connected to.

    `provided_by`: the component that it is connected to instead, where that is ordered.
    """

    name: str
    catalog_item: str
    version: str | None
    required: bool
    provided_by: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Everything that one document asks; `key` is the component's name, OWN for the form's own."""

    key: str
    title: str
    details: CatalogDetails = field(compare=False, repr=False)
    """The document that asks."""
    sections: tuple[Section, ...]
    fields: tuple[BaseField, ...]
    """All fields in the order of the form, those with a fixed value too."""
    controllers: frozenset[str]
    """The fields that a condition looks at."""
    askable: frozenset[str]
    """Qualified names of the fields that are asked where no condition leaves them out."""
    fixed: Mapping[str, Json] = field(default_factory=dict)
    """What is given by the bundle and not asked: values, or templates that are not known yet."""
    late: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of the fixed ones those that only the running request knows, and what they come from."""
    switch: Switch | None = None
    dependencies: tuple[Asked, ...] = ()
    kept: frozenset[str] = frozenset()
    """Secrets that are known already, and stay as they are where they are left empty."""
    drawings: Drawings = field(default_factory=Drawings, compare=False, repr=False)

    def name_of(self, one: BaseField) -> str:
        """Return a field's qualified name."""
        return qualified(self.key, one.name)

    def takes(self, one: BaseField) -> bool:
        """Tell whether a person may fill the field in; else what is stored is given."""
        return not one.hidden and not one.readonly and one.name not in self.fixed


def qualified(key: str, name: str) -> str:
    """Return the name of a field within the whole form."""
    return f"{key}.{name}" if key else name


def part_of(details: CatalogDetails, narrowed: Mapping[str, Sequence[Json]]) -> Part:
    """Return a document's own part; `narrowed`: what limits leave of a field's values, by field."""
    part = _part(_Document.of(details, narrowed, OWN, {}))
    title = details.entry.display_name
    return replace(part, title=title, details=details, dependencies=_dependencies(details, {}))


def component_part(component: ComponentForm, narrowed: Mapping[str, Sequence[Json]]) -> Part:
    """Return the part of a bundle's component."""
    details, fixed = component.details, component.fixed
    switch = Switch(
        component.required,
        component.enabled,
        component.enabled_when,
        details.entry.description,
    )
    part = _part(_Document.of(details, narrowed, component.name, fixed))
    return replace(
        part,
        title=component.display_name,
        details=details,
        askable=part.askable - {qualified(part.key, name) for name in fixed},
        fixed=fixed,
        late=component.late,
        switch=switch,
        dependencies=_dependencies(details, component.provided),
    )


@dataclass(frozen=True, slots=True)
class _Document:
    """A presentation as some people see it, told apart by its place, what it says, and to whom."""

    kind: str
    name: str
    content_hash: str
    key: str
    written: int
    unknown: frozenset[str]
    """Fixed parameters that nobody knows before the submission or the run renders them."""
    details: CatalogDetails = field(compare=False)
    narrowed: Mapping[str, Sequence[Json]] = field(compare=False)

    @classmethod
    def of(
        cls,
        details: CatalogDetails,
        narrowed: Mapping[str, Sequence[Json]],
        key: str,
        fixed: Mapping[str, Json],
    ) -> "_Document":
        entry = details.entry
        written = hash((repr(details.presentation), repr(sorted(narrowed.items()))))
        unknown = frozenset(name for name, value in fixed.items() if _is_template(value))
        marks = (entry.kind, entry.name, details.content_hash, key)
        return cls(*marks, written, unknown, details, narrowed)


@lru_cache(maxsize=OUTLINES)
def _part(document: _Document) -> Part:
    details = document.details
    sections = tuple(
        Section(heading, tuple(_named(one, document) for one in fields))
        for heading, fields in _sections(load_presentation(details.presentation))
    )
    named = tuple(pair for section in sections for pair in section.named)
    fields = tuple(one for _, one in named)
    controllers = frozenset(
        name for one in fields if one.conditional for name in one.conditional.names()
    )
    return Part(
        document.key,
        details.entry.display_name,
        details,
        sections,
        fields,
        controllers,
        frozenset(name for name, one in named if not one.hidden),
        drawings=Drawings(document.key, controllers),
    )


def _named(one: BaseField, document: _Document) -> tuple[str, BaseField]:
    return qualified(document.key, one.name), _as_asked(one, document)


def _as_asked(one: BaseField, document: _Document) -> BaseField:
    """Return a field as these people are asked it.

    Where its condition looks at a value that is not known yet, nobody can tell whether it counts: it
    is asked, and may be left empty.
    """
    if one.conditional and not document.unknown.isdisjoint(one.conditional.names()):
        one = one.model_copy(update={"conditional": None, "required": False})
    return _narrowed(one, document.narrowed)


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


def _sections(
    presentation: Presentation | BundlePresentation,
) -> Iterator[tuple[str | None, tuple[BaseField, ...]]]:
    """Yield the fields under each heading."""
    grouped = presentation.groups or ()
    loose = presentation.all_fields[: len(presentation.all_fields) - sum(map(_size, grouped))]
    if loose:
        yield None, loose
    for group in grouped:
        yield group.heading, group.fields


def _dependencies(details: CatalogDetails, provided: Mapping[str, str]) -> tuple[Asked, ...]:
    return tuple(
        Asked(
            name=(name := str(one.get("name") or one["catalog_item"])),
            catalog_item=str(one["catalog_item"]),
            version=one.get("version"),
            required=bool(one.get("required", True)),
            provided_by=provided.get(name),
        )
        for one in details.dependencies
    )


def _size(group: Any) -> int:
    return len(group.fields)


def _is_template(value: Json) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(_is_template(one) for one in value.values())
    return isinstance(value, list | tuple) and any(_is_template(one) for one in value)
