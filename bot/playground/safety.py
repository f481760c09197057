"""Who may talk to the playground: this machine's browser with the printed token, and the app.

Loopback only. A request whose Host or Origin is not the playground's own is refused, which keeps
other web pages and rebound names out. The printed address carries a random token; the page
exchanges it for an HttpOnly cookie of its own. The Web API asks for the app's token instead.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
BODY_BYTES = 2_000_000
"""No request is longer: a view has 250 kB at most."""


class OwnHostOnly:
    """Refuses foreign Hosts and Origins and long bodies; adds the security headers."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        elif refusal is not None:
            await PlainTextResponse(refusal, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, headers: Headers) -> str | None:
        if headers.get("host", "") not in self._hosts:
            return "The playground answers only to its own address on this machine."
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            return "The playground takes no requests from other pages."
        if int(headers.get("content-length") or 0) > BODY_BYTES:
            return "The request is too long."
        if "transfer-encoding" in headers:
            return "The request does not say its length."
        return None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS]
        await send(message)

    return send_with_headers


class Doorkeeper:
    """Exchanges the token of the printed address for a cookie, and knows the cookie again."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.cookie_name = "playground"
        self._session = secrets.token_urlsafe(32)

    def admits(self, connection: HTTPConnection) -> bool:
        """Say whether a browser has been let in."""
        cookie = connection.cookies.get(self.cookie_name, "")
        return hmac.compare_digest(cookie.encode(), self._session.encode())

    def exchange(self, request: Request) -> Response | None:
        """Answer a request that carries a token, or whose browser is not let in; else None."""
        given = request.query_params.get("token")
        if given is not None and hmac.compare_digest(given.encode(), self.token.encode()):
            response = RedirectResponse("/", 303)
            response.set_cookie(
                self.cookie_name, self._session, httponly=True, samesite="strict", path="/"
            )
            return response
        return None if self.admits(request) else HTMLResponse(_LOCKED, 401)


_LOCKED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Playground</title>
<h1>This page needs the address with its token</h1>
<p>Open the whole address that was printed in the terminal when the playground started.</p>"""
