"""Bringing every kept secret under the first encryption key, a batch in a transaction.

A rotation that is interrupted has done what it has done: the next one begins with the rest. What no
key that is set can read is left as it is and counted by the id of its lost key. The draft of a form
keeps its secrets by itself and is gone after a day; it is not rotated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from engine.secrets import Cipher, SecretUnreadable
from engine.store import secrets
from engine.store.pool import Connection
from engine.store.secrets import EncryptedValue

BATCH = 500
BEGINNING: Final = UUID(int=0)
"""Where the first batch begins; the next one begins at the `last` of the one before."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of a batch; `unreadable` counts secrets by the id of their lost key."""

    last: UUID
    rotated: int
    unreadable: Counter[str]


async def rotate_batch(connection: Connection, cipher: Cipher, after: UUID) -> Batch | None:
    """Rotate the next secrets in the caller's transaction; None when there are no more."""
    old = await secrets.under_other_keys(connection, cipher.key_id, after, BATCH)
    if not old:
        return None
    new = [sealed for secret in old if (sealed := _rotated(cipher, secret))]
    await secrets.replace(connection, new)
    done = {secret.id for secret in new}
    lost = Counter(secret.key_id for secret in old if secret.id not in done)
    return Batch(old[-1].id, len(new), lost)


def _rotated(cipher: Cipher, secret: EncryptedValue) -> EncryptedValue | None:
    try:
        ciphertext, key_id = cipher.rotate(secret.ciphertext, secret.key_id)
    except SecretUnreadable:
        return None
    return replace(secret, ciphertext=ciphertext, key_id=key_id)
