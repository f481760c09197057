"""Every kept secret comes under the first key; what no key can read stays and is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet

from engine import ConfigurationError, Engine, Forbidden, KeyRotation
from engine.key_rotation import BATCH
from engine.secrets import Cipher, key_id
from engine.store import secrets
from engine.store.pool import Connection
from engine.store.secrets import EncryptedValue
from tests.support.engines import ADMIN, ALICE, config, rows_of

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


async def keep(connection: Connection, key: str, values: Sequence[str]) -> list[UUID]:
    cipher = Cipher([key])
    kept = [EncryptedValue(uuid4(), *cipher.encrypt(value, "test"), "test") for value in values]
    await secrets.insert(connection, kept)
    return [secret.id for secret in kept]


async def rotate(dsn: str, folder: Path, keys: Sequence[str]) -> KeyRotation:
    async with Engine(config(dsn, folder, encryption_keys=tuple(keys))) as engine:
        return await engine.rotate_keys(ADMIN)


async def test_more_than_a_batch_comes_under_the_first_key(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    ids = await keep(connection, OLD, [str(number) for number in range(BATCH + 1)])

    assert await rotate(dsn, tmp_path, [NEW, OLD]) == KeyRotation(key_id(NEW), BATCH + 1, {})
    assert await rotate(dsn, tmp_path, [NEW]) == KeyRotation(key_id(NEW), 0, {})

    kept = await secrets.by_id(connection, ids)
    only_new = Cipher([NEW])
    assert [only_new.decrypt(kept[id_].ciphertext, "test") for id_ in ids] == [
        str(number) for number in range(BATCH + 1)
    ]


async def test_what_a_lost_key_made_stays_as_it_is(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    (lost,) = await keep(connection, LOST, ["a"])
    await keep(connection, OLD, ["b"])

    done = await rotate(dsn, tmp_path, [NEW, OLD])

    assert done == KeyRotation(key_id(NEW), 1, {key_id(LOST): 1})
    kept = (await secrets.by_id(connection, [lost]))[lost]
    assert Cipher([LOST]).decrypt(kept.ciphertext, "test") == "a"


async def test_only_admins_rotate_and_both_is_audited(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    async with Engine(config(dsn, tmp_path, encryption_keys=(NEW,))) as engine:
        with pytest.raises(Forbidden):
            await engine.rotate_keys(ALICE)
        await engine.rotate_keys(ADMIN)

    audited = await rows_of(connection, "SELECT actor, action, outcome FROM audit_log ORDER BY id")
    assert audited == [("U1", "keys.rotate", "denied"), ("U9", "keys.rotate", "done")]


async def test_without_a_key_there_is_nothing_to_rotate_to(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    await keep(connection, OLD, ["a"])
    with pytest.raises(ConfigurationError, match="PAO_ENCRYPTION_KEYS"):
        await rotate(dsn, tmp_path, [])
