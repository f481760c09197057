"""Ciphertexts: what {"$secret": id} in a JSON column stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    new = [
        {
            "id": str(secret.id),
            "ciphertext": secret.ciphertext,
            "key_id": secret.key_id,
            "purpose": secret.purpose,
        }
        for secret in secrets
    ]
    await run(connection, _sql.insert_secrets, {"secrets": jsonb(new)})


async def by_id(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, EncryptedValue]:
    """Read ciphertexts; unknown ids are left out."""
    wanted = list(ids)
    if not wanted:
        return {}
    found = await rows(connection, _sql.secrets_by_id, {"ids": wanted}, EncryptedValue)
    return {secret.id: secret for secret in found}
