"""What the bot answers over HTTP: to who watches over it, to webhooks, to who reads a log, and to Slack.

Each endpoint has a module of its own; here stands where it is found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from bot.monitoring import Readiness, Watchers, alive, metrics, readyz
from bot.request_page import request_page
from bot.serving import AsgiServer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bot.monitoring import Measuring

HOST = "0.0.0.0"  # noqa: S104 - Slack, probes and metrics come from outside the container
Endpoint = Callable[["Request"], Awaitable["Response"]]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What answers beside the probes; None: it is not offered.

    `webhooks` by sender; `slack` answers Slack's requests in HTTP mode.
    """

    webhooks: Mapping[str, Endpoint] = field(default_factory=dict)
    measure: Measuring | None = None
    logs: Endpoint | None = None
    slack: Endpoint | None = None


def http_server(
    readiness: Readiness,
    endpoints: Endpoints,
    *,
    port: int,
    watchers: Watchers | None = None,
) -> AsgiServer:
    """Return the server of one process."""
    return AsgiServer(
        Starlette(routes=_routes(readiness, endpoints, watchers or Watchers())),
        name="The HTTP server",
        host=HOST,
        port=port,
        remedy="End the program that uses the port, or set PAO_HTTP_PORT to another one",
    )


def _routes(readiness: Readiness, endpoints: Endpoints, watchers: Watchers) -> list[Route]:
    routes = [
        Route("/healthz", alive),
        Route("/readyz", readyz(readiness, watchers)),
        Route("/requests/{request_id}", request_page),
    ]
    for sender, endpoint in endpoints.webhooks.items():
        routes.append(Route(f"/webhooks/{sender}", endpoint, methods=["POST"]))
    if endpoints.measure is not None:
        routes.append(Route("/metrics", metrics(endpoints.measure, watchers)))
    if endpoints.logs is not None:
        routes.append(Route("/logs/{attempt_id}", endpoints.logs))
    if endpoints.slack is not None:
        routes.append(Route("/slack/events", endpoints.slack, methods=["POST"]))
    return routes
