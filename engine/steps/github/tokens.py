"""Who we are at GitHub: a token of the settings, or installation tokens of a GitHub App."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from engine.errors import StepFailed
from engine.outbound import Response, failure_of
from engine.steps.github.limits import heeding
from engine.steps.services import StepServices

TOKEN_LIFE: Final = 55 * 60.0
"""Seconds that an installation token is used; GitHub lets it live for an hour."""

CLOCK_DRIFT: Final = 60
JWT_LIFE: Final = 9 * 60
"""Seconds: issued so long ago, valid for so long. GitHub refuses more than ten minutes."""


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str
    expires: float
    """By the monotonic clock."""


class Tokens:
    """Gives the token for a repository; an App's are made when needed and kept until they end."""

    def __init__(self, services: StepServices) -> None:
        self._outbound = services.outbound
        self._settings = services.github
        self._budgets = services.budgets
        self._kept: dict[str, _Kept] = {}
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._key: rsa.RSAPrivateKey | None = None

    async def token(self, repository: str) -> str:
        """Return a token that may act on `owner/name`. Raises StepFailed."""
        if self._settings.token:
            return self._settings.token
        if not (self._settings.app_id and self._settings.app_key):
            raise StepFailed(
                "not_configured",
                "GitHub cannot be called: GITHUB_TOKEN is not set,"
                " nor are GITHUB_APP_ID and GITHUB_APP_KEY",
                kind="permanent",
                do="Set one of them and restart",
            )
        # Of many steps that begin at once one asks; whose question hangs holds up no other repository.
        async with self._making[repository]:
            kept = self._kept.get(repository)
            if kept is None or kept.expires <= time.monotonic():
                kept = self._kept[repository] = await self._new(repository)
        return kept.token

    def budget(self, repository: str) -> str:
        """Return what GitHub counts a call for `owner/name` to: the token, or the installation."""
        owner = repository.partition("/")[0].lower()
        return "github token" if self._settings.token else f"github installation {owner}"

    def forget(self, repository: str) -> bool:
        """Drop a token that was refused; return whether another one can be had."""
        return self._kept.pop(repository, None) is not None

    async def _new(self, repository: str) -> _Kept:
        """Ask for a token of the App's installation that holds the repository, for it alone."""
        now = time.monotonic()
        installation = await self._call("GET", f"/repos/{repository}/installation")
        answer = await self._call(
            "POST",
            f"/app/installations/{installation.get('id')}/access_tokens",
            {"repositories": [repository.partition("/")[2]]},
        )
        token = answer.get("token")
        if not isinstance(token, str):
            raise StepFailed("invalid_answer", "GitHub gave no installation token")
        return _Kept(token, now + TOKEN_LIFE)

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self._jwt()}",
        }
        response = await heeding(
            self._budgets,
            "github app",
            lambda: self._outbound.request(
                method,
                self._settings.api_url.rstrip("/") + path,
                headers=headers,
                body=None if body is None else json.dumps(body).encode(),
                guarded=False,
            ),
        )
        if error := failure_of(response):
            if response.status in {401, 403, 404}:
                error.do = "Check GITHUB_APP_ID, GITHUB_APP_KEY and where the App is installed"
            raise error
        return _object(response)

    def _jwt(self) -> str:
        """Return the App's own credential (RFC 7519, RS256)."""
        issued = int(time.time()) - CLOCK_DRIFT
        claims = {
            "iat": issued,
            "exp": issued + CLOCK_DRIFT + JWT_LIFE,
            "iss": self._settings.app_id,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = self._private_key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"

    def _private_key(self) -> rsa.RSAPrivateKey:
        if self._key is None:
            # In an environment variable line ends are often written out.
            text = (self._settings.app_key or "").replace("\\n", "\n")
            try:
                key = serialization.load_pem_private_key(text.encode(), password=None)
            except (ValueError, TypeError, UnsupportedAlgorithm) as error:
                raise _no_key() from error
            if not isinstance(key, rsa.RSAPrivateKey):
                raise _no_key()
            self._key = key
        return self._key


def _no_key() -> StepFailed:
    return StepFailed(
        "not_configured",
        "GITHUB_APP_KEY is not an RSA private key in PEM form without a password",
        kind="permanent",
        do="Set it to the key file that GitHub gave for the App",
    )


def _object(response: Response) -> dict[str, object]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {}


def _part(claims: Mapping[str, object]) -> str:
    return _base64(json.dumps(claims, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
