"""One exchange over HTTP: bounded, judged, and its outcome sorted by whether to try again.

What a failure means for another try (`StepFailed.kind`):

- transient: nothing was sent (no connection), or a GET or HEAD had no answer, or the answer was
  408, 425, 429 or 5xx;
- unknown: the request may have arrived, and its answer was lost;
- permanent: every other 4xx, an answer that is too large, and `OutboundRefused`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpcore
import httpx

from engine.errors import StepFailed
from engine.foreign_json import Json, clean_text, dump_json, parse_json
from engine.outbound.addresses import AllowList
from engine.outbound.network import Backend, Resolver, SystemResolver, refused
from engine.spans import TRACEPARENT, traceparent

TIMEOUT = 60.0
"""Seconds for a whole exchange, redirects included."""

CONNECT_TIMEOUT = 10.0
"""Seconds for one connection to stand, and for a free place in the pool."""

LARGEST_ANSWER = 1 << 20
"""Bytes of an answer's body; what is larger fails."""

CONNECTIONS = 50
"""At most, of each of the four pools."""

KEPT_ALIVE = 5.0
"""Seconds that an idle connection is kept for the next request."""

REDIRECTS = 3
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
SAFE_METHODS = frozenset({"GET", "HEAD"})
TRANSIENT_STATUSES = frozenset({408, 425, 429})
KEPT_ON_ANOTHER_ORIGIN = frozenset({"accept", "accept-language", "user-agent", TRACEPARENT})
"""Headers that follow a redirect to another origin; any other may be a credential."""

_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Header names are lower case; values of repeated ones are joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    """The address that answered, after redirects."""

    @property
    def text(self) -> str:
        """The body as text, safe to store."""
        return clean_text(self.body.decode("utf-8", "replace"))

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Json:
        """Return the body's value, safe to store. Raises ValueError when it is not JSON."""
        return parse_json(self.body)

    def link(self, target: str) -> str:
        """Return the address that `target`, maybe relative, means in this answer."""
        return str(_parsed(self.url).join(target))


class Outbound:
    """The way out. One for a process; `stop` closes its connections."""

    def __init__(
        self,
        allow: AllowList | Sequence[str] = (),
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take what the operator allows; `resolve` and `tls` replace the system's own."""
        self._allow = allow if isinstance(allow, AllowList) else AllowList.parse(allow)
        self._system = SystemResolver() if resolve is None else None
        self._resolve: Resolver = resolve or self._system  # type: ignore[assignment]
        self._tls = tls
        self._pools: dict[tuple[str, bool], httpcore.AsyncConnectionPool] = {}

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def stop(self) -> None:
        """Close all connections."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()
        if self._system is not None:
            self._system.close()
            self._system = SystemResolver()
            self._resolve = self._system

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Json = _NOTHING,
        body: bytes | None = None,
        timeout: float = TIMEOUT,  # noqa: ASYNC109 - over the whole exchange, in seconds
        guarded: bool = True,
        follow: bool = True,
    ) -> Response:
        """Send one request and read its answer, whatever its status (see `failure_of`).

        GET and HEAD follow redirects, unless `follow` is false. `guarded=False` is for addresses
        that the operator set.
        Raises OutboundRefused, and StepFailed when there is no answer or none that can be used.
        """
        content = body
        sent_headers = {"accept": "application/json, */*;q=0.5", "user-agent": "pao"}
        if json is not _NOTHING:
            content = dump_json(json).encode()
            sent_headers["content-type"] = "application/json"
        if parent := traceparent():
            sent_headers[TRACEPARENT] = parent
        sent_headers |= {name.lower(): value for name, value in (headers or {}).items()}
        exchange = _Exchange(method.upper(), _parsed(url), sent_headers, content, guarded)
        try:
            async with asyncio.timeout(timeout):
                return await (self._follow(exchange) if follow else self._send(exchange))
        except TimeoutError as error:
            raise exchange.lost("timeout", f"no answer within {timeout:g} s") from error

    async def _follow(self, exchange: _Exchange) -> Response:
        for _ in range(REDIRECTS + 1):
            response = await self._send(exchange)
            target = response.headers.get("location")
            redirected = response.status in REDIRECT_STATUSES and target
            if not redirected or exchange.method not in SAFE_METHODS:
                return response
            exchange = exchange.redirected(response.link(str(target)))
        raise StepFailed(
            "too_many_redirects",
            f"{exchange.shown} was reached by more than {REDIRECTS} redirects",
            kind="permanent",
        )

    async def _send(self, exchange: _Exchange) -> Response:
        pool = await self._pool(exchange)
        try:
            async with pool.stream(
                exchange.method,
                exchange.target,
                headers=exchange.raw_headers(),
                content=exchange.content,
                extensions={"timeout": _TIMEOUTS, "trace": exchange.watch},
            ) as answer:
                return await _read(answer, exchange)
        except (httpcore.TimeoutException, httpcore.NetworkError) as error:
            raise exchange.lost(_word_for(error), str(error) or type(error).__name__) from error
        except httpcore.RemoteProtocolError as error:
            raise exchange.lost("connection_lost", str(error)) from error
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol) as error:
            raise _invalid(exchange.shown, str(error)) from error

    async def _pool(self, exchange: _Exchange) -> httpcore.AsyncConnectionPool:
        scheme = exchange.url.scheme
        if scheme not in {"https", "http"}:
            raise refused(exchange.shown, f"its scheme is {scheme!r}, not https")
        if scheme == "https" and self._tls is None:
            # Reads all certificates of the system.
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        key = (scheme, exchange.guarded)
        if key not in self._pools:
            self._pools[key] = httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                max_connections=CONNECTIONS,
                keepalive_expiry=KEPT_ALIVE,
                network_backend=Backend(
                    self._resolve,
                    self._allow if exchange.guarded else None,
                    plain=scheme == "http",
                ),
            )
        return self._pools[key]


def failure_of(response: Response) -> StepFailed | None:
    """Return the error that an answer's status means, None for 2xx."""
    if response.is_success:
        return None
    try:
        phrase = f"{response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        phrase = str(response.status)
    transient = response.status >= 500 or response.status in TRANSIENT_STATUSES
    return StepFailed(
        f"http_{response.status}",
        f"{_shown(_parsed(response.url))} answered {phrase}",
        details={"status": response.status, "body": response.text},
        kind="transient" if transient else "permanent",
        retry_after=retry_after(response),
    )


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses share scheme, host and port: what is a secret of one is of both."""
    return _origin(_parsed(one)) == _origin(_parsed(other))


def retry_after(response: Response) -> float | None:
    """Return the seconds that the answer asks to wait (RFC 9110, 10.2.3), None where it does not.

    A date counts from the answer's own Date, so neither side's clock matters.
    """
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    due, now = _date(text), _date(response.headers.get("date", ""))
    if due is None:
        return None
    return max(0.0, (due - (now or datetime.now(UTC))).total_seconds())


@dataclass(slots=True)
class _Exchange:
    """One request on its way; `sent` once bytes of it may have left."""

    method: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes | None
    guarded: bool
    sent: bool = False

    @property
    def shown(self) -> str:
        return _shown(self.url)

    @property
    def target(self) -> httpcore.URL:
        return httpcore.URL(
            scheme=self.url.raw_scheme,
            host=self.url.raw_host,
            port=self.url.port,
            target=self.url.raw_path,
        )

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        asked = self.headers | {"accept-encoding": "identity"}
        try:
            return [(name.encode("ascii"), value.encode()) for name, value in asked.items()]
        except UnicodeEncodeError as error:
            raise _invalid(self.shown, f"a header's name or value is not text: {error}") from error

    async def watch(self, event: str, _: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            self.sent = True

    def lost(self, error_type: str, reason: str) -> StepFailed:
        unknown = self.sent and self.method not in SAFE_METHODS
        return StepFailed(
            error_type,
            f"{self.method} {self.shown} failed: {reason}",
            details={"sent": self.sent},
            kind="unknown" if unknown else "transient",
        )

    def redirected(self, target: str) -> _Exchange:
        url = _parsed(target)
        same_origin = _origin(url) == _origin(self.url)
        kept = {
            name: value
            for name, value in self.headers.items()
            if same_origin or name in KEPT_ON_ANOTHER_ORIGIN
        }
        return _Exchange(self.method, url, kept, self.content, self.guarded)


async def _read(answer: httpcore.Response, exchange: _Exchange) -> Response:
    headers: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = raw_name.decode("ascii").lower(), clean_text(raw_value.decode("latin-1"))
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("content-encoding", "identity") != "identity":
        raise _unusable("answer_encoded", f"{exchange.shown} answered compressed, unasked")
    body = bytearray()
    if exchange.method != "HEAD":
        _check_size(headers.get("content-length", ""), exchange)
        async for chunk in answer.aiter_stream():
            body += chunk
            _check_size(str(len(body)), exchange)
    return Response(answer.status, headers, bytes(body), str(exchange.url))


def _check_size(length: str, exchange: _Exchange) -> None:
    if length.isdigit() and int(length) > LARGEST_ANSWER:
        raise _unusable(
            "answer_too_large", f"{exchange.shown} answered more than {LARGEST_ANSWER} bytes"
        )


def _unusable(error_type: str, message: str) -> StepFailed:
    return StepFailed(error_type, message, kind="permanent")


def _invalid(shown: str, reason: str) -> StepFailed:
    return _unusable("invalid_request", f"{shown} cannot be called: {reason}")


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise refused(repr(url[:200]), f"it is not a URL: {error}") from error
    if parsed.userinfo:
        raise refused(parsed.host, "its URL holds a name or password; use `authentication`")
    if not parsed.host:
        raise refused(repr(url[:200]), "it names no host")
    return parsed


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _shown(url: httpx.URL) -> str:
    """Return the address as messages name it: queries may hold secrets."""
    return str(url.copy_with(query=None, fragment=None))


def _word_for(error: Exception) -> str:
    match error:
        case httpcore.PoolTimeout():
            return "overloaded"
        case httpcore.ConnectTimeout() | httpcore.ConnectError():
            return "connect_failed"
        case httpcore.TimeoutException():
            return "timeout"
    return "connection_lost"


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_TIMEOUTS = {"connect": CONNECT_TIMEOUT, "pool": CONNECT_TIMEOUT, "read": None, "write": None}
"""Reading and writing are bounded by the timeout of the whole exchange alone."""
