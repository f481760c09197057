"""Links that open something for one person, for a while: signed, so that nobody makes one alone.

The signing keys are derived from the encryption keys, which every process shares. The first signs,
all are taken, so links outlive a rotation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

PURPOSE = b"pao link"


@dataclass(frozen=True, slots=True)
class Link:
    """What is opened, for whom (a user id), until when (seconds since 1970, the database's clock)."""

    what: str
    person: str
    until: int


class Signer:
    """Signs links and knows its own."""

    def __init__(self, encryption_keys: Sequence[str]) -> None:
        self._keys = [hmac.digest(key.encode(), PURPOSE, hashlib.sha256) for key in encryption_keys]

    @property
    def can_sign(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def sign(self, link: Link) -> str:
        """Return the signature, in letters that need no escaping in an address."""
        return _signature(self._keys[0], link)

    def knows(self, link: Link, signature: str) -> bool:
        """Say whether a signature is ours and for this link."""
        given = signature.encode("utf-8", "replace")
        return any(hmac.compare_digest(_signature(key, link).encode(), given) for key in self._keys)


def _signature(key: bytes, link: Link) -> str:
    # Lengths keep parts apart, whatever stands in them.
    parts = (link.what, link.person, str(link.until))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
