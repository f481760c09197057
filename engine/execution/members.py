"""What a component of a bundle is made with: what was asked for it, and what the bundle fixes.

A fixed parameter may be a template over the bundle's fields and over what earlier components gave,
so it is rendered when the component runs, and judged then by the same check as a submission: a
value that the item does not take is a failure of the step, in words. What was judged is kept with
the member (deployment_parameters) by the transaction that writes what became of the step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engine.catalog.documents import load_presentation
from engine.catalog.fields import BaseField, SecretField
from engine.catalog.values import FieldError, check_values
from engine.errors import StepFailed, TemplateError
from engine.redaction import Redactor
from engine.requests.parameters import (
    disarmed,
    encrypted,
    in_clear,
    is_reference,
    parameter_purpose,
    reference,
    texts_in,
)
from engine.requests.subject import asked_of, part_of
from engine.secrets import Cipher
from engine.store.claimed import ClaimedMember, ClaimedRequest
from engine.store.execution import MemberParameters
from engine.store.secrets import EncryptedValue
from engine.templates import render


@dataclass(frozen=True, slots=True)
class Judged:
    """A component's parameters in clear; `kept` where they are not what is stored already."""

    values: Mapping[str, Any]
    kept: MemberParameters | None


def judge(
    request: ClaimedRequest,
    component: str,
    bundle: Mapping[str, Any],
    clear: Mapping[UUID, Any],
    cipher: Cipher,
    *,
    late: Collection[str] = (),
) -> Judged:
    """Return a component's parameters. `bundle`: what templates of fixed parameters see, in clear.

    `late`: fixed parameters whose values are not known yet; they are left out.
    Raises StepFailed (permanent) naming the parameters that cannot be taken.
    """
    asked = asked_of(request, component)
    written = part_of(request.plan, component).get("parameters") or {}
    fixed = {name: value for name, value in written.items() if name not in late}
    every = load_presentation(part_of(request.plan, component)["presentation"]).all_fields
    fields = [field for field in every if field.name not in late]
    redactor = Redactor(text for value in clear.values() for text in texts_in(value))
    values = in_clear(asked, clear)
    if fixed:
        rendered = _rendered(component, fixed, bundle, redactor)
        values = _checked(component, fields, values, rendered, redactor)
    member = request.members.get(component)
    if member is None or in_clear(member.deployment_parameters, clear) == values:
        return Judged(values, None)
    known = _Known({**member.deployment_parameters, **asked}, _secret(fields), clear, redactor)
    return Judged(values, _sealed(request, member, values, known, cipher))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored already, which fields are secret, and the secrets that are known."""

    stored: Mapping[str, Any]
    secret: frozenset[str]
    clear: Mapping[UUID, Any]
    redactor: Redactor

    def reference(self, name: str, value: Any) -> Any:
        """Return the reference by which the value is stored already, else None."""
        stored = self.stored.get(name)
        same = is_reference(stored) and in_clear(stored, self.clear) == value
        return stored if same else None


def _rendered(
    component: str, fixed: Mapping[str, Any], bundle: Mapping[str, Any], redactor: Redactor
) -> Mapping[str, Any]:
    try:
        rendered: Mapping[str, Any] = render(fixed, bundle)
    except TemplateError as error:
        raise _refused(component, redactor.text(f"{error.field}: {error}")) from error
    return rendered


def _checked(
    component: str,
    fields: Sequence[BaseField],
    asked: Mapping[str, Any],
    fixed: Mapping[str, Any],
    redactor: Redactor,
) -> dict[str, Any]:
    """Judge the fixed values; what was asked for was judged at its submission."""
    given = {name: value for name, value in fixed.items() if value is not None}
    checked = check_values(fields, {**asked, **given})
    wrong = [error for error in checked.errors if error.field in fixed or error.code == "required"]
    if wrong:
        told = (f"{one.field}: {_finding(one, given.get(one.field), redactor)}" for one in wrong)
        raise _refused(component, redactor.text("; ".join(told)))
    kept = {name: asked[name] for name in asked if name not in given | checked.values}
    return {
        **{name: value for name, value in kept.items() if name not in checked.dropped},
        **checked.values,
    }


def _finding(error: FieldError, value: Any, redactor: Redactor) -> str:
    """Return what is wrong with a value; of a secret no more, since a finding may name a part of it."""
    return (
        "It is a secret that the item does not take."
        if redactor.holds_secret(value)
        else error.message
    )


def _secret(fields: Sequence[BaseField]) -> frozenset[str]:
    return frozenset(field.name for field in fields if isinstance(field, SecretField))


def _sealed(
    request: ClaimedRequest,
    member: ClaimedMember,
    values: Mapping[str, Any],
    known: _Known,
    cipher: Cipher,
) -> MemberParameters:
    """Return the values as they may be stored; what is stored already keeps its reference."""
    sealed: dict[str, Any] = {}
    new: list[EncryptedValue] = []
    for name, value in values.items():
        if stored := known.reference(name, value):
            sealed[name] = stored
        elif name in known.secret or known.redactor.holds_secret(value):
            purpose = parameter_purpose(request.id, f"{member.component}.{name}")
            new.append(encrypted(cipher, value, purpose))
            sealed[name] = reference(new[-1].id)
        else:
            sealed[name] = disarmed(value)
    return MemberParameters(member.id, sealed, tuple(new))


def _refused(component: str, why: str) -> StepFailed:
    return StepFailed(
        "component_parameters",
        f"The parameters that the bundle fixes for {component} cannot be taken: {why}",
        details={"component": component},
        kind="permanent",
        do="Correct the bundle's document, or resume with other parameters",
    )
