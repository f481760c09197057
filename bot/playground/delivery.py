"""How a payload reaches the app: an envelope out, an acknowledgement back.

Two ways, as in Slack: Socket Mode (`sockets`) and signed HTTP requests, here. Slack waits three
seconds; what is not acknowledged by then is shown to the person as an error, and an event comes
again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlencode

import aiohttp

if TYPE_CHECKING:
    from bot.playground.refusals import JsonObject
    from bot.playground.workspace import Clock

Kind = Literal["slash_commands", "interactive", "events_api"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload and how it is to be taken; `retry` counts the earlier attempts of an event."""

    kind: Kind
    payload: JsonObject
    retry: int = 0
    retry_reason: str = ""


class NotAcknowledged(Exception):
    """The app did not answer in time (`operation_timeout`) or not at all (`dispatch_failed`)."""

    def __init__(self, reason: Literal["operation_timeout", "dispatch_failed"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Delivery(Protocol):
    """One way to the app."""

    async def deliver(self, envelope: Envelope, within: float) -> JsonObject:
        """Hand an envelope over and return the acknowledgement's payload ({} for none).

        Raises:
            NotAcknowledged: not within `within` seconds.
        """
        ...


class SignedRequests:
    """Delivers by HTTP POST to the app's request URL, signed as Slack signs (v0, HMAC-SHA256)."""

    def __init__(self, request_url: str, signing_secret: str, clock: Clock) -> None:
        self.request_url = request_url
        self._secret = signing_secret
        self._clock = clock

    async def verify(self) -> bool:
        """Ask the request URL to repeat a challenge, as Slack does when it is configured."""
        challenge = secrets.token_hex(16)
        payload: JsonObject = {"type": "url_verification", "challenge": challenge, "token": "-"}
        answer = await self.deliver(Envelope("events_api", payload), within=3.0)
        return answer.get("challenge", answer.get("text")) == challenge

    async def deliver(self, envelope: Envelope, within: float) -> JsonObject:
        """Post the envelope's payload; every answer but 200 is none."""
        body, content_type = _encode(envelope)
        headers = {"Content-Type": content_type, **self._signature(body), **_retry(envelope)}
        timeout = aiohttp.ClientTimeout(total=within)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.request_url, data=body, headers=headers) as response,
            ):
                text = await response.text()
        except TimeoutError as late:
            raise NotAcknowledged("operation_timeout") from late
        except aiohttp.ClientError as broken:
            raise NotAcknowledged("dispatch_failed") from broken
        if response.status != 200:
            raise NotAcknowledged("dispatch_failed")
        return _decode(text)

    def _signature(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock()))
        signed = b"v0:" + timestamp.encode() + b":" + body
        digest = hmac.new(self._secret.encode(), signed, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def _encode(envelope: Envelope) -> tuple[bytes, str]:
    if envelope.kind == "events_api":
        return json.dumps(envelope.payload).encode(), "application/json"
    form = envelope.payload
    if envelope.kind == "interactive":
        form = {"payload": json.dumps(form)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


def _retry(envelope: Envelope) -> dict[str, str]:
    if envelope.retry == 0:
        return {}
    return {
        "X-Slack-Retry-Num": str(envelope.retry),
        "X-Slack-Retry-Reason": envelope.retry_reason,
    }


def _decode(text: str) -> JsonObject:
    if not text.strip():
        return {}
    try:
        answer = json.loads(text)
    except ValueError:
        return {"text": text}
    return answer if isinstance(answer, dict) else {"text": text}


async def deliver_event(
    way: Delivery, payload: JsonObject, within: float, pauses: tuple[float, ...]
) -> None:
    """Deliver an event, again after each pause until it is acknowledged, then give up."""
    reason = ""
    for retry, pause in enumerate((0.0, *pauses)):
        await asyncio.sleep(pause)
        try:
            await way.deliver(Envelope("events_api", payload, retry, reason), within)
        except NotAcknowledged as missed:
            late = missed.reason == "operation_timeout"
            reason = "http_timeout" if late else "http_error"
        else:
            return
