"""Parameters of a request: checked by the document's fields, secrets sealed before they are stored.

A sealed value is `{"$secret": id}` in the JSON column, and its ciphertext is bound to the request
and the field (`parameter:<request>:<field>`), so it means nothing anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from engine.catalog.documents import Access
from engine.catalog.fields import BaseField, Option, SecretField
from engine.catalog.moments import Clock
from engine.catalog.refusal import References, Surroundings
from engine.catalog.values import FieldError
from engine.errors import InvalidInput
from engine.foreign_json import dump_json
from engine.people.permissions import group_name
from engine.redaction import Redactor
from engine.results import SECRET_DOTS, Actor
from engine.secrets import Cipher
from engine.store.secrets import EncryptedValue

SECRET_KEY: Final = "$secret"
TOLD: Final = 10
"""Findings that one message spells out."""
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def surroundings(
    actor: Actor,
    access: Access | None,
    options: Mapping[str, Sequence[Option]] | None = None,
    references: References | None = None,
) -> Surroundings:
    """Return what values are judged by: the person's time zone, the limits of their teams.

    `options`: what the sources of fields with `options_from` answered. `references`: what is known
    of the instances that fields name; None where they are not judged.
    """
    return Surroundings(
        clock=Clock(user_zone=actor.time_zone),
        references=references,
        options=options or {},
        narrowed=narrowed(actor, access),
    )


def narrowed(actor: Actor, access: Access | None) -> dict[str, list[Any]]:
    """Return the values that `access.limits` leaves to the person, by field."""
    left: dict[str, list[Any]] = {}
    for limit in _limits(actor, access):
        for name, allowed in (limit.fields or {}).items():
            before = left.get(name)
            left[name] = [v for v in allowed if before is None or v in before]
    return left


def max_active(actor: Actor, access: Access | None) -> int | None:
    """Return how many instances the person's teams may have, None where nothing limits them."""
    bounds = [limit.max_active for limit in _limits(actor, access) if limit.max_active is not None]
    return min(bounds, default=None)


def refuse(errors: Sequence[FieldError]) -> None:
    """Raise InvalidInput with all findings, unless there are none."""
    if not errors:
        return
    first = errors[0]
    told = [f"{error.field}: {error.message.rstrip('.')}" for error in errors[:TOLD]]
    if len(errors) > TOLD:
        told.append(f"and {len(errors) - TOLD} more")
    raise InvalidInput(
        "; ".join(told),
        do="Correct the values and submit again",
        field=first.field,
        errors=errors,
        code=first.code if len(errors) == 1 else None,
    )


def seal(
    fields: Sequence[BaseField],
    values: Mapping[str, Any],
    cipher: Cipher,
    request_id: UUID,
    *,
    prefix: str = "",
    also: Collection[str] = (),
) -> tuple[dict[str, Any], list[EncryptedValue]]:
    """Return the values with secrets replaced by references, and the ciphertexts to keep.

    `prefix`: `<component>.` for the values of a bundle's component. `also`: fields that hold a
    secret without being one.
    """
    secret = {field.name for field in fields if isinstance(field, SecretField)}.union(also)
    sealed: dict[str, Any] = {}
    kept: list[EncryptedValue] = []
    for name, value in values.items():
        if name not in secret:
            sealed[name] = disarmed(value)
        elif is_reference(value):
            sealed[name] = value
        else:
            purpose = parameter_purpose(request_id, f"{prefix}{name}")
            kept.append(encrypted(cipher, value, purpose))
            sealed[name] = reference(kept[-1].id)
    return sealed, kept


def seal_outputs(
    outputs: Mapping[str, Any],
    cipher: Cipher,
    step_id: UUID,
    redactor: Redactor,
    sensitive: Collection[str] = (),
) -> tuple[dict[str, Any], list[EncryptedValue]]:
    """Return a step's outputs with those that are or hold secrets as references, and ciphertexts."""
    sealed: dict[str, Any] = {}
    kept: list[EncryptedValue] = []
    for key, value in outputs.items():
        if key in sensitive or redactor.holds_secret(value):
            kept.append(encrypted(cipher, value, output_purpose(step_id, key)))
            sealed[key] = reference(kept[-1].id)
        else:
            sealed[key] = disarmed(value)
    return sealed, kept


def encrypted(cipher: Cipher, value: Any, purpose: str) -> EncryptedValue:
    """Encrypt a value for its place."""
    ciphertext, key_id = cipher.encrypt(value, purpose)
    return EncryptedValue(uuid4(), ciphertext, key_id, purpose)


def parameter_purpose(request_id: UUID, field: str) -> str:
    """Return what a secret parameter's ciphertext is bound to."""
    return f"parameter:{request_id}:{field}"


def output_purpose(step_id: UUID, key: str) -> str:
    """Return what a secret output's ciphertext is bound to."""
    return f"output:{step_id}:{key}"


def reference(secret_id: UUID) -> dict[str, str]:
    """Return what stands in a JSON column for a secret."""
    return {SECRET_KEY: str(secret_id)}


def is_reference(value: Any) -> bool:
    """Say whether a JSON value stands for a secret."""
    if not isinstance(value, Mapping) or len(value) != 1 or SECRET_KEY not in value:
        return False
    id_ = value[SECRET_KEY]
    return isinstance(id_, str) and _ID.fullmatch(id_) is not None


def disarmed(data: Any) -> Any:
    """Return JSON from outside with a mapping that looks like a reference turned into its text.

    Otherwise whoever can make a service answer `{"$secret": id}` reads the secret of that id.
    """
    if isinstance(data, Mapping):
        if data.keys() == {SECRET_KEY}:
            return dump_json(data)
        return {key: disarmed(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [disarmed(value) for value in data]
    return data


def references_in(data: Any) -> Iterator[UUID]:
    """Yield the ids of all secrets that a JSON value refers to, however deep."""
    if data is None or isinstance(data, str):
        return
    if is_reference(data):
        yield UUID(data[SECRET_KEY])
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from references_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from references_in(value)


def with_dots(data: Any) -> Any:
    """Return a JSON value as people see it: dots for secrets."""
    if is_reference(data):
        return SECRET_DOTS
    if isinstance(data, Mapping):
        return {key: with_dots(value) for key, value in data.items()}
    if isinstance(data, list):
        return [with_dots(value) for value in data]
    return data


def texts_in(value: Any) -> Iterator[str]:
    """Yield a secret's value as texts: itself, or what it holds."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def in_clear(data: Any, secrets: Mapping[UUID, Any]) -> Any:
    """Return a JSON value with each reference replaced by what it stands for."""
    if data is None or isinstance(data, str):
        return data  # nearly all there is, and quicker to tell than what is a mapping
    if isinstance(data, Mapping):
        if is_reference(data):
            return secrets.get(UUID(data[SECRET_KEY]))
        return {key: in_clear(value, secrets) for key, value in data.items()}
    if isinstance(data, list):
        return [in_clear(value, secrets) for value in data]
    return data


def _limits(actor: Actor, access: Access | None) -> Iterator[Any]:
    """Yield the limits for the person's teams; several of them hold together."""
    teams = frozenset(actor.teams)
    for limit in (access and access.limits) or ():
        groups = {group_name(group) for group in (*(limit.teams or ()), *(limit.usergroups or ()))}
        if not teams.isdisjoint(groups):
            yield limit
