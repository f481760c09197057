"""What every webhook must be before anything is done: small, signed with the secret we share, a JSON object.

The signature is checked over the bytes as they came, before they are read. A delivery proves who
sent it; what it says is still only a reason to look for oneself. So one that is lost with the
process costs nothing but the wait for the next poll.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import structlog
from starlette.responses import JSONResponse

from engine import PaoError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST_BODY: Final = 5 << 20
"""Bytes. GitHub sends up to 25 MB, but a push of thousands of commits can wait for the interval."""

LONGEST_ID: Final = 100
"""Characters of a delivery's id; GitHub's and Jira's have about 36."""

FORM: Final = "application/x-www-form-urlencoded"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Secret:
    """What signs the deliveries of one sender: its value, its setting, the headers it may stand in."""

    value: str | None
    setting: str
    headers: tuple[str, ...] = ("X-Hub-Signature-256",)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that is what it says it is."""

    headers: Mapping[str, str]
    body: bytes
    payload: Mapping[str, Any]


class Refused(Exception):
    """A delivery that is not taken, with the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


Taking = Callable[[Delivery], Awaitable["Response"]]


async def answered(request: Request, secret: Secret, take: Taking) -> Response:
    """Answer one delivery: by `take` where it is right, else by what is wrong with it."""
    try:
        return await take(await _received(request, secret))
    except Refused as refused:
        return JSONResponse({"error": refused.message}, status_code=refused.status)
    except PaoError as error:
        log.warning("webhook_not_taken", error=str(error))
        message = "The database does not answer. What this delivery tells is found without it."
        return JSONResponse({"error": message}, status_code=503)


def accepted() -> Response:
    """Return the answer to what is done now."""
    return JSONResponse({"result": "accepted"}, status_code=202)


def ignored(reason: str) -> Response:
    """Return the answer to what is right and of no use."""
    return JSONResponse({"result": "ignored", "reason": reason}, status_code=202)


async def _received(request: Request, secret: Secret) -> Delivery:
    if secret.value is None:
        raise Refused(403, f"Webhooks are refused: {secret.setting} is not set.")
    body = await _body(request)
    signatures = [request.headers.get(name, "") for name in secret.headers]
    if not any(_is_signed(body, signature, secret.value) for signature in signatures):
        named = " or ".join(secret.headers)
        raise Refused(401, f"The signature in {named} is missing or wrong.")
    payload = _payload(body, request.headers.get("Content-Type", ""))
    if payload is None:
        raise Refused(400, "The body is no JSON object.")
    return Delivery(request.headers, body, payload)


async def _body(request: Request) -> bytes:
    """Return the body; refuses as soon as it is too large."""
    announced = request.headers.get("Content-Length", "0")
    body = bytearray()
    if announced.isdecimal() and int(announced) <= LARGEST_BODY:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                break
        else:
            return bytes(body)
    raise Refused(413, f"The delivery is larger than {LARGEST_BODY} bytes.")


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries; Jira signs alike."""
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
