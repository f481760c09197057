"""Secrets of a request in clear, for the moment that needs them, and what redacts words by them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from engine.redaction import Redactor
from engine.requests.parameters import in_clear, references_in, texts_in
from engine.secrets import Cipher, SecretUnreadable
from engine.store import requests, secrets
from engine.store.pool import Connection
from engine.store.requests import RequestRow


async def opened(connection: Connection, cipher: Cipher, data: Any) -> Any:
    """Return JSON with each reference replaced by what it stands for; raises SecretUnreadable."""
    kept = await secrets.by_id(connection, references_in(data))
    clear = {
        id_: cipher.decrypt(one.ciphertext, one.purpose, one.key_id) for id_, one in kept.items()
    }
    return in_clear(data, clear)


async def redactor_of(connection: Connection, cipher: Cipher, row: RequestRow) -> Redactor:
    """Return what redacts the words of people by the request's secrets.

    A secret whose key is lost is left out: it must not keep anybody from giving the request up.
    """
    outputs = [step.outputs for step in await requests.steps_of(connection, row.id)]
    ids = {*references_in(row.parameters), *references_in(outputs)}
    known: list[str] = []
    for one in (await secrets.by_id(connection, ids)).values():
        with suppress(SecretUnreadable):
            known += texts_in(cipher.decrypt(one.ciphertext, one.purpose, one.key_id))
    return Redactor(known)
