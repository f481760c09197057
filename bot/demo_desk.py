"""The desk of the demo's cloud: a ticket, and the page on which it is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response


@dataclass(slots=True)
class Ticket:
    """Something that a person is asked to do."""

    id: str
    summary: str
    description: str
    fields: dict[str, Any]
    status: str = "open"
    comments: list[str] = field(default_factory=list)


def ticket_section(ticket: Ticket) -> str:
    """Return one ticket as HTML, with a button while it is open."""
    open_still = ticket.status in ("open", "in_progress")
    button = (
        f'<form method="post" action="/tickets/{escape(ticket.id)}/resolve">'
        "<button>Resolve</button></form>"
    )
    comments = "".join(f"<blockquote>{escape(text)}</blockquote>" for text in ticket.comments)
    facts = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>"
        for key, value in ticket.fields.items()
    )
    return (
        f'<article id="{escape(ticket.id)}" class="{escape(ticket.status)}">'
        f"<h2>{escape(ticket.summary)}</h2>"
        f"<p><code>{escape(ticket.id)}</code> <b>{escape(ticket.status)}</b></p>"
        f"<pre>{escape(ticket.description)}</pre><dl>{facts}</dl>{comments}"
        f"{button if open_still else ''}</article>"
    )


def page(title: str, body: str) -> Response:
    """Return a page that runs no script and is shown in no frame."""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>",
        headers={
            "content-security-policy": (
                "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
                "frame-ancestors 'none'; base-uri 'none'"
            ),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
        },
    )


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f6f6f4; color: #1d1c1d }
main { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
article { background: #fff; border: 1px solid #ddd; border-radius: 8px; padding: 1rem 1.25rem;
  margin: 1rem 0; border-left: 4px solid #d9822b }
article.resolved, article.closed { border-left-color: #2e9e6b; color: #555 }
h1, h2 { line-height: 1.25 } h2 { margin: 0; font-size: 1.1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit }
dt { color: #666; font-size: .85rem } dd { margin: 0 0 .5rem; overflow-wrap: anywhere }
blockquote { margin: .5rem 0; padding-left: .75rem; border-left: 2px solid #ddd }
button { font: inherit; padding: .35rem 1rem; border: 0; border-radius: 6px; background: #0b6e4f;
  color: #fff; cursor: pointer }
button:focus-visible { outline: 3px solid #7cc4a8 }
"""
