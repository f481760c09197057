"""What the bot answers over HTTP: whether it lives, whether it is ready, webhooks, and, without Socket Mode, Slack.

`/healthz` says that the process lives; `/readyz` that it can work now, and what is missing where it cannot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from bot.serving import AsgiServer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "0.0.0.0"  # noqa: S104 - Slack, probes and metrics come from outside the container
Endpoint = Callable[["Request"], Awaitable["Response"]]
Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Gives what must work, by name, with the reason where it does not (None: it does)."""


def http_server(
    readiness: Readiness,
    *,
    port: int,
    webhooks: Mapping[str, Endpoint],
    slack: Endpoint | None = None,
) -> AsgiServer:
    """Return the server of one process; `slack` answers Slack's requests in HTTP mode, `webhooks` by sender."""
    routes = [
        Route("/healthz", _alive),
        Route("/readyz", _ready(readiness)),
        *(
            Route(f"/webhooks/{sender}", endpoint, methods=["POST"])
            for sender, endpoint in webhooks.items()
        ),
    ]
    if slack is not None:
        routes.append(Route("/slack/events", slack, methods=["POST"]))
    return AsgiServer(
        Starlette(routes=routes),
        name="The HTTP server",
        host=HOST,
        port=port,
        remedy="End the program that uses the port, or set PAO_HTTP_PORT to another one",
    )


async def _alive(_: Request) -> Response:
    return PlainTextResponse("alive\n")


def _ready(readiness: Readiness) -> Endpoint:
    async def ready(_: Request) -> Response:
        parts = await readiness()
        failing = [name for name, reason in parts.items() if reason is not None]
        return JSONResponse(
            {name: reason or "ok" for name, reason in parts.items()},
            status_code=503 if failing else 200,
        )

    return ready
