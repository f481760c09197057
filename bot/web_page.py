"""A page for a browser: text and nothing else.

No script, no picture, nothing from elsewhere, and the browser is told to allow none. It is kept in no
cache, and its address is told to no other site.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

from starlette.responses import HTMLResponse, Response

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


def page(status: int, title: str, body: str) -> Response:
    """Return a page; `body` is HTML, escaped already."""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1>{body}</html>\n",
        status_code=status,
        headers=HEADERS,
    )
