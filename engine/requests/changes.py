"""Changed parameters of a resume or retry: judged like a new submission, by the plan's own fields.

What a team may have is judged by the document of today, and what may be chosen by its sources. A
secret that is not given again keeps its ciphertext. Parameters of a bundle's component are named
`<component>.<field>`, or stand under `components`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.catalog.documents import load_presentation
from engine.catalog.fields import BaseField
from engine.catalog.values import FieldError
from engine.errors import NotFound, quoted, shortened
from engine.requests.judging import Form, Intake, judge_form, named
from engine.requests.parameters import is_reference, refuse, seal, with_dots
from engine.requests.sealed import opened
from engine.results import Actor
from engine.store import documents, secrets
from engine.store.documents import StoredDocument
from engine.store.pool import Connection
from engine.store.requests import RequestRow

COMPONENTS: Final = "components"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a resume or retry changes. `texts` names the parameters that are command-line text."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    skip_verification: bool = False
    sequence_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Parameters as they are to be stored, and the names of those that differ from before."""

    parameters: Mapping[str, Any]
    names: frozenset[str]
    told: str
    """What differs, in words: `size: small, now large`; dots for secrets."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The values of the request itself (`component` None), or of one component."""

    component: str | None
    plan: Mapping[str, Any]
    before: Mapping[str, Any]
    given: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        """What goes before the names of its fields."""
        return f"{self.component}." if self.component else ""


async def judge_changes(
    connection: Connection, intake: Intake, actor: Actor, row: RequestRow, changes: Changes
) -> Changed | None:
    """Return the request's parameters with the changes, None where nothing was given.

    New secrets are sealed and kept. Raises InvalidInput (by field) and OptionsNeeded.
    """
    if not changes.parameters:
        return None
    own, components = dict(_own(row)), dict(row.parameters.get(COMPONENTS) or {})
    errors: list[FieldError] = []
    changed: dict[str, tuple[Any, Any]] = {}
    for part in _parts(row, changes):
        form = await _form(connection, intake, part, changes)
        checked = await judge_form(connection, intake, actor, form)
        errors += checked.errors
        if checked.errors:
            continue
        after = await _sealed(
            connection, intake, row, part, fields=form.fields, values=checked.values
        )
        changed |= {f"{part.prefix}{k}": v for k, v in _differences(part.before, after).items()}
        if part.component is None:
            own = after
        else:
            components[part.component] = after
    refuse(errors)
    parameters = {**own, COMPONENTS: components} if COMPONENTS in row.parameters else own
    return Changed(parameters, frozenset(changed), _told(changed))


def _own(row: RequestRow) -> Mapping[str, Any]:
    if COMPONENTS not in row.plan:
        return row.parameters
    return {name: value for name, value in row.parameters.items() if name != COMPONENTS}


def _parts(row: RequestRow, changes: Changes) -> Iterator[_Part]:
    """Yield what is changed, part by part."""
    planned = row.plan.get(COMPONENTS) or {}
    by_part: dict[str | None, dict[str, Any]] = {}
    for name, value in changes.parameters.items():
        component, dot, field_name = name.partition(".")
        if planned and name == COMPONENTS and isinstance(value, Mapping):
            for one, values in value.items():
                if not isinstance(values, Mapping):
                    text = "This must hold values by their fields' names."
                    refuse([FieldError(f"{COMPONENTS}.{one}", text, "wrong_type")])
                by_part.setdefault(one, {}).update(values)
        elif dot and component in planned:
            by_part.setdefault(component, {})[field_name] = value
        else:
            by_part.setdefault(None, {})[name] = value
    for part, given in by_part.items():
        if part is None:
            yield _Part(None, row.plan, _own(row), given)
        elif not (planned.get(part) or {}).get("enabled", True) or part not in planned:
            text = f"There is no component {quoted(part)} in this request."
            refuse([FieldError(part, text, "unknown_component")])
        else:
            kept = (row.parameters.get(COMPONENTS) or {}).get(part) or {}
            fixed = planned[part].get("parameters") or {}  # rendered anew when a step needs them
            before = {name: value for name, value in kept.items() if name not in fixed}
            yield _Part(part, planned[part], before, given)


async def _form(connection: Connection, intake: Intake, part: _Part, changes: Changes) -> Form:
    fixed = part.plan.get("parameters") or {} if part.component else {}
    fields = [
        field
        for field in load_presentation(part.plan["presentation"]).all_fields
        if field.name not in fixed
    ]
    texts = {
        name.removeprefix(part.prefix) for name in changes.texts if name.startswith(part.prefix)
    }
    return Form(
        document=await _document(connection, part),
        fields=fields,
        given={**await opened(connection, intake.cipher, part.before), **part.given},
        texts=frozenset(texts) & part.given.keys(),
        prefix=part.prefix,
    )


async def _document(connection: Connection, part: _Part) -> StoredDocument:
    """Return the document as it stands today."""
    document = part.plan["document"]
    found = named(
        await documents.held_documents(connection, document["kind"], [document["name"]]),
        document["name"],
    )
    if found is None:
        raise NotFound(
            f"{document['display_name']} is not in the catalog any more",
            "its values cannot be judged",
            "Resume without changes, or abort",
        )
    return found


async def _sealed(
    connection: Connection,
    intake: Intake,
    row: RequestRow,
    part: _Part,
    *,
    fields: Sequence[BaseField],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Return values as they are stored; a secret that was not given again keeps its place."""
    kept = {
        name: part.before[name]
        if name not in part.given and is_reference(part.before.get(name))
        else value
        for name, value in values.items()
    }
    sealed, new = seal(fields, kept, intake.cipher, row.id, prefix=part.prefix)
    await secrets.insert(connection, new)
    return sealed


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (before.get(name), after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def _told(changed: Mapping[str, tuple[Any, Any]]) -> str:
    said = with_dots({name: list(pair) for name, pair in changed.items()})
    return "; ".join(
        f"{name}: {_word(before)}, now {_word(after)}" for name, (before, after) in said.items()
    )


def _word(value: Any) -> str:
    """Return a value on one line: whoever approves must not take it for words of ours."""
    return "nothing" if value is None else shortened(" ".join(str(value).split()))
