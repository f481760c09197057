"""`/logs/ID`: what one attempt wrote, as a page for the person whom the link was signed for.

The page is text and nothing else: no script, no picture, nothing from elsewhere, and the browser is
told to allow none. It is kept in no cache, and its address, which holds the signature, is told to
no other site.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from html import escape
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog
from starlette.responses import HTMLResponse, Response

from engine import AttemptLogPage, Forbidden, NotFound, PaoError, Unreachable

if TYPE_CHECKING:
    from starlette.requests import Request

    from engine import Engine

Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:100rem;padding:0 1rem}"
    "pre{background:#f4f4f5;border:1px solid #d4d4d8;border-radius:6px;overflow-x:auto;"
    "padding:1rem;font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#52525b}dd{margin:0}"
    "@media(prefers-color-scheme:dark){body{background:#18181b;color:#e4e4e7}"
    "pre{background:#27272a;border-color:#3f3f46}dt{color:#a1a1aa}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}

log = structlog.get_logger(__name__)


def log_page(engine: Engine) -> Endpoint:
    """Return the endpoint."""

    async def answer(request: Request) -> Response:
        attempt_id = request.path_params["attempt_id"]
        try:
            person = await engine.link_holder(attempt_id, request.query_params)
            return _page(200, *_told(await engine.attempt_log(person, attempt_id)))
        except PaoError as error:
            return _page(_status(error), "No log to show", f"<p>{escape(str(error))}</p>")

    return answer


def _status(error: PaoError) -> int:
    match error:
        case Forbidden():
            return 403
        case NotFound():
            return 404
        case Unreachable():
            return 503
    log.error("log_page_failed", error=str(error))
    return 500


def _told(page: AttemptLogPage) -> tuple[str, str]:
    """Return title and body."""
    title = f"{page.step_name}, attempt {page.attempt_number}"
    facts = {
        "Request": f"{page.request_id} {page.title}",
        "Status": page.status,
        "Started": f"{page.started_at:%Y-%m-%d %H:%M:%S %Z}",
        "Ended": f"{page.completed_at:%Y-%m-%d %H:%M:%S %Z}" if page.completed_at else None,
        "Error": page.error_message,
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value
    )
    cut = f"<p>The first {page.left_out} characters are left out.</p>" if page.left_out else ""
    text = f"<pre>{escape(page.text)}</pre>" if page.text else "<p>Nothing was written.</p>"
    return title, f"<dl>{rows}</dl>{cut}{text}"


def _page(status: int, title: str, body: str) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1>{body}</html>\n",
        status_code=status,
        headers=HEADERS,
    )
