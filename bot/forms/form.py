"""What a form asks (`Form`) and what stands in it (`Filled`), before either is Slack's.

A form is made of a catalog document and of the person who opens it; that of a bundle has a part of
its own and one for each component. What stands in it are values as they were entered, by qualified
name (parts.py): typed where Slack's element gives a type, else the text as typed (`texts`), which
the engine parses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from bot.forms.parts import Asked, Part, component_part, part_of, qualified
from engine import (
    Actor,
    BaseField,
    CatalogDetails,
    Checked,
    Clock,
    ComponentForm,
    SecretField,
    Surroundings,
    check_values,
    default_values,
    holds,
)

Json = Any
Purpose = Literal["request", "update", "upgrade", "resume", "retry"]
"""What a form is for: something new, an operation on an instance, a request that goes on."""

NAME_LENGTH: Final = 255
"""Longest instance name."""

DEPRECATED: Final = "deprecated"


@dataclass(frozen=True, slots=True)
class Form:
    """Everything that one document asks of one person."""

    kind: str
    name: str
    title: str
    version: str
    content_hash: str
    own: Part
    components: tuple[Part, ...] = ()
    purpose: Purpose = "request"
    about: str | None = None
    """External id of the instance or request that the form is about; None for something new."""
    teams: tuple[str, ...] = ()
    description: str | None = None
    deprecated: bool = False
    replaced_by: str | None = None
    notes: tuple[str, ...] = ()
    """Paragraphs before the first question, as safe markup."""
    given: Mapping[str, Json] = field(default_factory=dict)
    """What the form is prefilled with, over the defaults."""
    confirmed_by: str | None = None
    """The name that must be typed before what the form orders is done."""

    @property
    def subject(self) -> str:
        """What drafts are kept by."""
        whole = f"{self.kind}:{self.name}"
        return whole if self.about is None else f"{whole}:{self.purpose}:{self.about}"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The form's own part, then its components'."""
        return (self.own, *self.components)

    @property
    def fields(self) -> tuple[BaseField, ...]:
        """The fields of the form's own part."""
        return self.own.fields

    @property
    def is_new(self) -> bool:
        """Whether the form orders something new: it asks for name, team and connections."""
        return self.purpose == "request"

    @property
    def has_summary(self) -> bool:
        """Whether its last page sums up what was entered."""
        return self.is_new and bool(self.components)

    def every_field(self) -> Iterator[tuple[Part, BaseField]]:
        """Yield each field with the part that it belongs to."""
        for part in self.parts:
            for one in part.fields:
                yield part, one

    def every_dependency(self) -> Iterator[tuple[str, Part, Asked]]:
        """Yield each service to connect to, by its qualified name, with the part that asks for it."""
        for part in self.parts:
            for asked in part.dependencies:
                yield qualified(part.key, asked.name), part, asked

    def secrets(self) -> frozenset[str]:
        """Return the qualified names of all secret fields."""
        return frozenset(
            part.name_of(one) for part, one in self.every_field() if isinstance(one, SecretField)
        )


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in a form: None for a field that was emptied, nothing for one not seen yet.

    `texts` names the values that are still text as typed; `chosen` holds what was said of the
    components that one may choose.
    """

    instance_name: str | None = None
    team: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    chosen: Mapping[str, bool] = field(default_factory=dict)
    confirmation: str | None = None

    def over(self, defaults: "Filled") -> "Filled":
        """Return these entries, and the defaults of what was not seen when they were made."""
        return replace(
            self,
            values={**defaults.values, **self.values},
            chosen={**defaults.chosen, **self.chosen},
        )

    def differs(self, other: "Filled") -> bool:
        """Tell whether somebody has entered something, whatever type Slack brings it back in."""
        return _said(self) != _said(other)


def _said(filled: Filled) -> tuple[Json, ...]:
    values = {
        name: [str(one) for one in value] if isinstance(value, list | tuple) else str(value)
        for name, value in filled.values.items()
        if value is not None and value is not False and value not in ("", [])
    }
    chosen = {key for key, on in filled.chosen.items() if on}
    return filled.instance_name, filled.team, dict(filled.dependencies), values, chosen


def form_of(
    details: CatalogDetails,
    actor: Actor,
    narrowed: Mapping[str, Sequence[Json]] | None = None,
    components: Sequence[tuple[ComponentForm, Mapping[str, Sequence[Json]]]] = (),
) -> Form:
    """Return the form of a catalog item or bundle as `actor` is asked to fill it.

    `narrowed`: the values that the limits of the person's teams leave them, by field; each of a
    bundle's `components` comes with its own.
    """
    entry = details.entry
    return Form(
        kind=entry.kind,
        name=entry.name,
        title=entry.display_name,
        version=entry.version,
        content_hash=details.content_hash,
        own=part_of(details, narrowed or {}),
        components=tuple(component_part(one, limits) for one, limits in components),
        teams=actor.teams,
        description=entry.description,
        deprecated=entry.lifecycle == DEPRECATED,
        replaced_by=entry.replaced_by,
    )


def untouched(form: Form, actor: Actor) -> Filled:
    """Return what stands in a form that nobody has touched: defaults, what is given, the one team."""
    around = Surroundings(clock=Clock(user_zone=actor.time_zone))
    values: dict[str, Json] = {}
    for part in form.parts:
        written = {one.name: one.default for one in part.fields if one.default is not None}
        known = {**written, **default_values(part.fields, around).values}
        values |= {
            qualified(part.key, name): value
            for name, value in known.items()
            if name not in part.fixed
        }
    chosen = {
        part.key: part.switch.at_first
        for part in form.components
        if part.switch is not None and part.switch.is_chosen
    }
    return Filled(
        team=form.teams[0] if len(form.teams) == 1 else None,
        values={**values, **form.given},
        chosen=chosen,
    )


def shown(form: Form, filled: Filled) -> frozenset[str]:
    """Return the qualified names of the fields that are asked, given what stands in the form."""
    on = enabled(form, filled)
    here = (part for part in form.parts if part.switch is None or part.key in on)
    return frozenset().union(*(_shown_of(part, filled) for part in here))


def connections(form: Form, filled: Filled) -> frozenset[str]:
    """Return the qualified names of the services to connect to that are asked for as things stand."""
    on = enabled(form, filled)
    return frozenset(
        name
        for name, part, asked in form.every_dependency()
        if (part.switch is None or part.key in on) and asked.provided_by not in on
    )


def enabled(form: Form, filled: Filled) -> frozenset[str]:
    """Return the components that are ordered, given what stands in the form."""
    if not form.components:
        return frozenset()
    own = _checked(form.own, filled)
    return frozenset(part.key for part in form.components if _is_on(part, filled, own))


def _is_on(part: Part, filled: Filled, own: Checked) -> bool:
    switch = part.switch
    if switch is None or switch.always:
        return True
    if switch.condition is not None:
        return holds(switch.condition, own.values, own.dropped)
    return filled.chosen.get(part.key, switch.at_first)


def _shown_of(part: Part, filled: Filled) -> frozenset[str]:
    if not part.controllers:
        return part.askable
    return part.askable - {qualified(part.key, name) for name in _checked(part, filled).dropped}


def _checked(part: Part, filled: Filled) -> Checked:
    """Judge what stands in a part so far; what the bundle fixes counts as entered."""
    taken = {one.name: part.name_of(one) for one in part.fields if part.takes(one)}
    given = {name: filled.values.get(whole) for name, whole in taken.items()}
    texts = frozenset(name for name, whole in taken.items() if whole in filled.texts)
    raw = {**part.fixed, **given}
    return check_values(part.fields, raw, texts=texts, partial=True)
