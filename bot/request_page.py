"""`/requests/ID`: where the link in a ticket leads. It says where the request is to be seen.

Whoever has a ticket may read it, so nothing is looked up: not even whether there is such a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bot.web_page import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

REQUEST_ID: Final = re.compile(r"req-[0-9a-z-]{1,60}")


async def request_page(request: Request) -> Response:
    """Say how a request is looked at; 404 for what is no request's id."""
    id_ = request.path_params["request_id"]
    if not REQUEST_ID.fullmatch(id_):
        return page(404, "No request", "<p>This address names no request.</p>")
    where = (
        f"<p>In Slack: <code>/pao status {id_}</code></p>"
        f"<p>On the command line: <code>pao request get {id_}</code></p>"
        f"<p>When its ticket is done: Resolve on its card, or <code>/pao resolve {id_}</code></p>"
    )
    return page(200, f"Request {id_}", where)
