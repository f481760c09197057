"""GitHub's webhooks: a push to the catalog's branch starts a sync at once.

A delivery is taken when its signature is right, answered with 202 before anything is done, and
done once: GitHub never sends one again by itself, but people can, and so can whoever recorded one.
What a delivery says beside its branch is not believed; the sync fetches for itself. So a delivery
that is lost with the process costs nothing but the wait for the next sync by the interval.

Syncs of one process follow each other, and pushes that come during one share the next.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import structlog
from starlette.responses import JSONResponse

from engine import PaoError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bot.background import Background
    from engine import Engine

SOURCE: Final = "github"

LARGEST_BODY: Final = 5 << 20
"""Bytes. GitHub sends up to 25 MB, but a push of thousands of commits can wait for the interval."""

LONGEST_ID: Final = 100
"""Characters of a delivery's id; GitHub's have 36."""

FORM: Final = "application/x-www-form-urlencoded"

log = structlog.get_logger(__name__)


class GitHubWebhooks:
    """Answers `POST /webhooks/github`; `secret` None refuses everything."""

    def __init__(self, engine: Engine, background: Background, secret: str | None) -> None:
        self._engine = engine
        self._background = background
        self._secret = secret
        self._is_syncing = False
        self._is_wanted = False

    async def answer(self, request: Request) -> Response:
        """Answer one delivery. https://docs.github.com/webhooks/webhook-events-and-payloads."""
        if self._secret is None:
            return _refused(403, "Webhooks are refused: PAO_GITHUB_WEBHOOK_SECRET is not set.")
        body = await _body(request)
        if body is None:
            return _refused(413, f"The delivery is larger than {LARGEST_BODY} bytes.")
        if not _is_signed(body, request.headers.get("X-Hub-Signature-256", ""), self._secret):
            return _refused(401, "The signature in X-Hub-Signature-256 is missing or wrong.")
        delivery = request.headers.get("X-GitHub-Delivery", "")
        if not 0 < len(delivery) <= LONGEST_ID:
            return _refused(400, "The header X-GitHub-Delivery is missing or too long.")
        payload = _payload(body, request.headers.get("Content-Type", ""))
        if payload is None:
            return _refused(400, "The body is no JSON object.")
        return await self._taken(request.headers.get("X-GitHub-Event", ""), delivery, payload)

    async def _taken(self, event: str, delivery: str, payload: dict[str, Any]) -> Response:
        if event == "ping":
            return JSONResponse({"result": "pong"})
        if reason := self._unwanted(event, payload):
            return _ignored(reason)
        try:
            is_new = await self._engine.remember_delivery(SOURCE, delivery)
        except PaoError as error:
            log.warning("webhook_not_taken", delivery=delivery, error=str(error))
            return _refused(503, "The database does not answer. The next sync comes by itself.")
        if not is_new:
            return _ignored("this delivery was taken before")
        self._sync_soon()
        return JSONResponse({"result": "accepted"}, status_code=202)

    def _unwanted(self, event: str, payload: dict[str, Any]) -> str | None:
        """Say why an event is no reason to sync, None where it is one."""
        config = self._engine.config
        if event != "push":
            return f"events of the type {event!r} are not looked at, only push"
        if config.catalog_url is None:
            return "no catalog is set up"
        if payload.get("ref") != f"refs/heads/{config.catalog_branch}":
            return f"only pushes to {config.catalog_branch} matter"
        return None

    def _sync_soon(self) -> None:
        self._is_wanted = True
        if not self._is_syncing:
            self._is_syncing = True
            self._background.run(self._sync(), "sync by webhook")

    async def _sync(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                await self._engine.sync_catalog(None, "webhook")
        finally:
            self._is_syncing = False


async def _body(request: Request) -> bytes | None:
    """Return the body, None as soon as it is too large."""
    announced = request.headers.get("Content-Length", "0")
    if not announced.isdecimal() or int(announced) > LARGEST_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries."""
    right = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace"))


def _payload(body: bytes, content_type: str) -> dict[str, Any] | None:
    try:
        text = body.decode()
        if content_type.startswith(FORM):
            [text] = parse_qs(text, strict_parsing=True, max_num_fields=10)["payload"]
        payload = json.loads(text)
    except (ValueError, KeyError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)


def _ignored(reason: str) -> Response:
    return JSONResponse({"result": "ignored", "reason": reason}, status_code=202)
