"""Ciphertexts: what {"$secret": id} in a JSON column stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, run

_sql = queries.load("secrets")


@dataclass(frozen=True, slots=True)
class EncryptedValue:
    """A row of encrypted_values."""

    id: UUID
    ciphertext: str
    key_id: str
    purpose: str


async def insert(connection: Connection, secrets: Sequence[EncryptedValue]) -> None:
    """Keep ciphertexts."""
    if not secrets:
        return
    await run(connection, _sql.insert_secrets, {"secrets": _records(secrets)})


async def by_id(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, EncryptedValue]:
    """Read ciphertexts; unknown ids are left out."""
    wanted = list(ids)
    if not wanted:
        return {}
    found = await rows(connection, _sql.secrets_by_id, {"ids": wanted}, EncryptedValue)
    return {secret.id: secret for secret in found}


async def under_other_keys(
    connection: Connection, key_id: str, after: UUID, limit: int
) -> list[EncryptedValue]:
    """Read and lock a batch of the ciphertexts that `key_id` did not make, by id from `after`."""
    wanted = {"key_id": key_id, "after": after, "limit": limit}
    return await rows(connection, _sql.secrets_under_other_keys, wanted, EncryptedValue)


async def replace(connection: Connection, secrets: Sequence[EncryptedValue]) -> None:
    """Put new ciphertexts in the place of old ones."""
    await run(connection, _sql.replace_ciphertexts, {"secrets": _records(secrets)})


def _records(secrets: Sequence[EncryptedValue]) -> Any:
    return jsonb([{**asdict(secret), "id": str(secret.id)} for secret in secrets])
