"""What watches over the bot may ask: `/healthz`, `/readyz`, `/metrics`.

That the process lives and whether it is ready everybody may know: probes come from anywhere. What
is wrong in words, and all figures, go only to the addresses of the setting METRICS_ALLOW, by default
this machine's own. A request that a proxy passed on is judged as coming from outside, whatever
address the proxy has: it speaks for everybody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, PlainTextResponse, Response

from engine import PaoError
from engine.metrics import REGISTRY, Measures, Queues

if TYPE_CHECKING:
    from starlette.requests import Request

Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"
Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Gives what must work, by name, with the reason where it does not (None: it does)."""

Measuring = Callable[[], Awaitable[Measures]]

FRESH_SECONDS: Final = 15.0
"""How long figures of the database are given out again: counting costs it something."""

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Watchers:
    """Who may read reasons and figures: addresses and networks."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(one, strict=False) for one in allowed or LOOPBACK
        ]

    def include(self, request: Request) -> bool:
        """Say whether a request comes from one of them, and from nobody behind it."""
        if request.client is None or any(name in request.headers for name in PROXY_HEADERS):
            return False
        address = ip_address(request.client.host)
        return any(address in network for network in self._networks)


async def alive(_: Request) -> Response:
    """Say that the process lives."""
    return PlainTextResponse("alive\n")


def readyz(readiness: Readiness, watchers: Watchers) -> Endpoint:
    """Return the endpoint that says what works; what is wrong with the rest only to watchers."""

    async def ready(request: Request) -> Response:
        parts = await readiness()
        said = "not ready"
        shown = {
            name: "ok" if reason is None else reason if watchers.include(request) else said
            for name, reason in parts.items()
        }
        is_ready = all(reason is None for reason in parts.values())
        return JSONResponse(shown, status_code=200 if is_ready else 503)

    return ready


def metrics(measure: Measuring, watchers: Watchers) -> Endpoint:
    """Return the endpoint for Prometheus; the figures of the database are a few seconds old at most."""
    figures = _Figures(measure)

    async def answer(request: Request) -> Response:
        if not watchers.include(request):
            return PlainTextResponse("Not for you: see PAO_METRICS_ALLOW.\n", status_code=403)
        text = generate_latest(REGISTRY) + await figures.text()
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return answer


class _Figures:
    """What the database measures, asked for by one scraper at a time."""

    def __init__(self, measure: Measuring) -> None:
        self._measure = measure
        self._asking = asyncio.Lock()
        self._text = b""
        self._until = 0.0

    async def text(self) -> bytes:
        async with self._asking:
            if time.monotonic() >= self._until:
                self._text = _exposed(await self._asked())
                self._until = time.monotonic() + FRESH_SECONDS
            return self._text

    async def _asked(self) -> Measures | None:
        try:
            return await self._measure()
        except PaoError:
            return None


def _exposed(measures: Measures | None) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Collected(measures))
    return generate_latest(registry)


class _Collected(Collector):
    """Measures in Prometheus's form; None: the database did not answer."""

    def __init__(self, measures: Measures | None) -> None:
        self._measures = measures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families."""
        found = self._measures
        yield _gauge("pao_database_up", "Whether the database answers", float(found is not None))
        if found is None:
            return
        yield _requests(found)
        yield from _queues(found.queues)
        yield from _sync(found)
        for name, number in found.pool.items():
            yield _gauge(f"pao_pool_{name}", "Of this process's connection pool", number)


def _requests(found: Measures) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "pao_requests", "Requests by type and status", labels=["type", "status"]
    )
    for (type_, status), number in found.requests.items():
        family.add_metric([type_, status], number)
    return family


def _queues(found: Queues) -> Iterator[GaugeMetricFamily]:
    yield _gauge("pao_steps_due", "Steps that may be claimed now", found.steps_due)
    yield _gauge("pao_steps_waiting", "Steps that are due later", found.steps_waiting)
    yield _gauge("pao_steps_running", "Steps that a worker has in hand", found.steps_running)
    about = "How long the first step that is due has waited for a worker"
    yield _gauge("pao_steps_oldest_due_seconds", about, found.oldest_due)
    yield _gauge("pao_outbox_items", "What is still to be done outside", found.outbox)
    about = "How long the first item that is due has waited"
    yield _gauge("pao_outbox_lag_seconds", about, found.outbox_lag)
    yield _gauge("pao_tickets_open", "Tickets that people work on", found.tickets_open)
    about = "Approvals that nobody has given yet"
    yield _gauge("pao_approvals_waiting", about, found.approvals_waiting)
    yield _gauge("pao_parked_events", "Events put aside by a consumer", found.parked_events)


def _sync(found: Measures) -> Iterator[GaugeMetricFamily]:
    if found.sync is None:
        return
    about = "Time since the last sync of the catalog ended"
    yield _gauge("pao_catalog_sync_age_seconds", about, found.sync.age)
    about = "Errors that the last sync found in documents"
    yield _gauge("pao_catalog_sync_errors", about, found.sync.errors)
    about = "Whether the last sync failed as a whole"
    yield _gauge("pao_catalog_sync_failed", about, float(found.sync.status == "failed"))
    if found.sync.duration is not None:
        about = "Time that the last sync took"
        yield _gauge("pao_catalog_sync_duration_seconds", about, found.sync.duration)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)
