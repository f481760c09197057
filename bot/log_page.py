"""`/logs/ID`: what one attempt wrote, as a page for the person whom the link was signed for.

Its address holds the signature: it is told to no other site and kept in no cache (bot/web_page.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import TYPE_CHECKING, TypeAlias

import structlog

from bot.web_page import page
from engine import AttemptLogPage, Forbidden, NotFound, PaoError, Unreachable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from engine import Engine

Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"

log = structlog.get_logger(__name__)


def log_page(engine: Engine) -> Endpoint:
    """Return the endpoint."""

    async def answer(request: Request) -> Response:
        attempt_id = request.path_params["attempt_id"]
        try:
            person = await engine.link_holder(attempt_id, request.query_params)
            return page(200, *_told(await engine.attempt_log(person, attempt_id)))
        except PaoError as error:
            return page(_status(error), "No log to show", f"<p>{escape(str(error))}</p>")

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


def _told(attempt: AttemptLogPage) -> tuple[str, str]:
    """Return title and body."""
    title = f"{attempt.step_name}, attempt {attempt.attempt_number}"
    facts = {
        "Request": f"{attempt.request_id} {attempt.title}",
        "Status": attempt.status,
        "Started": f"{attempt.started_at:%Y-%m-%d %H:%M:%S %Z}",
        "Ended": f"{attempt.completed_at:%Y-%m-%d %H:%M:%S %Z}" if attempt.completed_at else None,
        "Error": attempt.error_message,
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value
    )
    cut = (
        f"<p>The first {attempt.left_out} characters are left out.</p>" if attempt.left_out else ""
    )
    text = f"<pre>{escape(attempt.text)}</pre>" if attempt.text else "<p>Nothing was written.</p>"
    return title, f"<dl>{rows}</dl>{cut}{text}"
