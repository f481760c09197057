"""The small cloud that the example catalog orders from: a real HTTP service in place of a real one.

What it has, each with the manners of its kind: resources made by asynchronous operations (202, a
Location to ask, Retry-After), health, DNS records, monitors, a quota that refuses queues, and a
ticket desk with a page where a person resolves tickets. Everything is bounded: the oldest goes when
there is too much. It is kept in a file, if one is given, before a change is answered. A request with
an Idempotency-Key that was seen before gets the answer of then, and nothing is made twice.

It listens on loopback, answers only to that name, and takes no forms from other pages.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Generic, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.demo_desk import Ticket, page, ticket_section
from bot.demo_memory import Memory
from bot.serving import AsgiServer

HOST = "127.0.0.1"
PORT = 8001
"""The example catalog's documents name this address."""

OPERATION_SECONDS = 1.5
"""How long it takes to make a resource: long enough to be seen waiting."""

KEPT = 1_000
"""Most resources, records, tickets and answers that are kept, of each kind."""

LARGEST_BODY = 1 << 20

QUOTAS = {"queue": 0}
"""How many resources of a kind may be made; any number of the others."""

T = TypeVar("T")


class Kept(OrderedDict[str, T], Generic[T]):
    """A dictionary that forgets its oldest entry when it holds more than KEPT."""

    def __setitem__(self, key: str, value: T) -> None:
        super().__setitem__(key, value)
        if len(self) > KEPT:
            self.popitem(last=False)


@dataclass(slots=True)
class Resource:
    """Something that was ordered; it is ready from `ready_at` on (seconds since 1970)."""

    id: str
    kind: str
    name: str
    ready_at: float
    facts: dict[str, Any]

    @property
    def is_ready(self) -> bool:
        """Whether the operation that makes it has ended."""
        return time.time() >= self.ready_at


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to an Idempotency-Key."""

    status: int
    body: str
    headers: dict[str, str]

    @classmethod
    def of(cls, response: Response) -> Answer:
        """Keep a response."""
        return cls(response.status_code, bytes(response.body).decode(), dict(response.headers))

    def again(self) -> Response:
        """Give it once more."""
        return Response(self.body, self.status, self.headers)


class DemoCloud:
    """The cloud as a service: `url` is its address once it has started."""

    def __init__(
        self,
        port: int = PORT,
        *,
        operation_seconds: float = OPERATION_SECONDS,
        memory: Path | None = None,
    ) -> None:
        self._operation_seconds = operation_seconds
        self._resources: Kept[Resource] = Kept()
        self._records: Kept[str] = Kept()
        self._monitors: Kept[dict[str, Any]] = Kept()
        self._tickets: Kept[Ticket] = Kept()
        self._answers: Kept[Answer] = Kept()
        self._memory = Memory(memory)
        self._remember()
        self._server = AsgiServer(
            self._application(),
            name="The demo's cloud",
            host=HOST,
            port=port,
            remedy="End what uses the port, or give another with --cloud-port",
        )

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{HOST}:{self._server.port}"

    async def start(self) -> None:
        """Listen; ConfigurationError when the port is taken."""
        await self._server.start()

    async def stop(self) -> None:
        """End."""
        await self._server.stop()

    def _application(self) -> Starlette:
        routes = [
            Route("/", _home),
            Route("/v1/resources", self._once(self._order), methods=["POST"]),
            Route("/v1/resources/{id}", self._show, methods=["GET"]),
            Route("/v1/resources/{id}", self._kept(self._remove), methods=["DELETE"]),
            Route("/v1/resources/{id}/health", self._health),
            Route("/v1/operations/{id}", self._operation),
            Route("/v1/dns/{name}", self._kept(self._point), methods=["PUT"]),
            Route("/v1/dns/{name}", self._kept(self._unpoint), methods=["DELETE"]),
            Route("/v1/monitors", self._once(self._watch), methods=["POST"]),
            Route("/v1/tickets", self._once(self._open_ticket), methods=["POST"]),
            Route("/tickets", self._desk),
            Route("/tickets/{id}", self._ticket),
            Route("/tickets/{id}/comments", self._kept(self._comment), methods=["POST"]),
            Route("/tickets/{id}/resolve", self._kept(self._resolve), methods=["POST"]),
        ]
        only_here = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        return Starlette(
            routes=routes,
            middleware=[only_here],
            exception_handlers={HTTPException: _refusal},
        )

    def _once(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Answer a repeated Idempotency-Key with the first answer, unless that was a refusal."""

        async def answer(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            known = self._answers.get(f"{request.url.path} {key}") if key else None
            if known is not None:
                return known.again()
            response = await handler(request)
            if key and response.status_code < 400:
                self._answers[f"{request.url.path} {key}"] = Answer.of(response)
            return response

        return self._kept(answer)

    def _kept(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Keep what a change has made before it is answered."""

        async def answer(request: Request) -> Response:
            response = await handler(request)
            self._memory.keep(
                {
                    "resources": [asdict(one) for one in self._resources.values()],
                    "records": dict(self._records),
                    "monitors": dict(self._monitors),
                    "tickets": [asdict(one) for one in self._tickets.values()],
                    "answers": {key: asdict(one) for key, one in self._answers.items()},
                }
            )
            return response

        return answer

    def _remember(self) -> None:
        state = self._memory.read()
        self._resources.update({one["id"]: Resource(**one) for one in state.get("resources", ())})
        self._records.update(state.get("records", {}))
        self._monitors.update(state.get("monitors", {}))
        self._tickets.update({one["id"]: Ticket(**one) for one in state.get("tickets", ())})
        self._answers.update({key: Answer(**a) for key, a in state.get("answers", {}).items()})

    # Resources

    async def _order(self, request: Request) -> Response:
        facts = await _body(request)
        kind, name = _text(facts, "kind"), _text(facts, "name")
        quota = QUOTAS.get(kind)
        if quota is not None and sum(r.kind == kind for r in self._resources.values()) >= quota:
            raise HTTPException(403, f"The quota of {quota} for the kind {kind!r} is used up.")
        resource = Resource(
            f"{kind}-{token_hex(4)}",
            kind,
            name,
            time.time() + self._operation_seconds,
            {key: value for key, value in facts.items() if key not in ("kind", "name")},
        )
        self._resources[resource.id] = resource
        return JSONResponse(
            {"id": resource.id, "status": "creating"},
            202,
            {"location": f"/v1/operations/{resource.id}", "retry-after": "1"},
        )

    async def _operation(self, request: Request) -> Response:
        resource = self._resource(request)
        if not resource.is_ready:
            return JSONResponse(
                {"id": resource.id, "status": "creating"}, 202, {"retry-after": "1"}
            )
        return self._described(resource)

    async def _show(self, request: Request) -> Response:
        return self._described(self._resource(request))

    async def _remove(self, request: Request) -> Response:
        self._resources.pop(request.path_params["id"], None)
        return Response(status_code=204)

    async def _health(self, request: Request) -> Response:
        resource = self._resource(request)
        if not resource.is_ready:
            return JSONResponse({"status": "starting"}, 503, {"retry-after": "1"})
        return JSONResponse({"status": "healthy", "name": resource.name})

    def _described(self, resource: Resource) -> Response:
        return JSONResponse(
            {
                "id": resource.id,
                "kind": resource.kind,
                "name": resource.name,
                "status": "ready" if resource.is_ready else "creating",
                "health_url": f"{self.url}/v1/resources/{resource.id}/health",
                "console_url": f"{self.url}/v1/resources/{resource.id}",
                "facts": resource.facts,
            }
        )

    def _resource(self, request: Request) -> Resource:
        return _found(self._resources, request.path_params["id"], "resource")

    # Names and monitors

    async def _point(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._records[name] = _text(await _body(request), "target")
        return JSONResponse({"fqdn": f"{name}.cloud.example", "target": self._records[name]})

    async def _unpoint(self, request: Request) -> Response:
        self._records.pop(request.path_params["name"], None)
        return Response(status_code=204)

    async def _watch(self, request: Request) -> Response:
        facts = await _body(request)
        resource = _found(self._resources, _text(facts, "resource_id"), "resource")
        monitor = {"id": f"mon-{token_hex(4)}", "resource_id": resource.id}
        self._monitors[monitor["id"]] = monitor
        return JSONResponse(
            monitor | {"dashboard_url": f"{self.url}/v1/resources/{resource.id}"}, 201
        )

    # The ticket desk

    async def _open_ticket(self, request: Request) -> Response:
        facts = await _body(request)
        ticket = Ticket(
            f"DESK-{len(self._tickets) + 1:04}-{token_hex(2)}",
            _text(facts, "summary"),
            str(facts.get("description") or ""),
            {key: v for key, v in facts.items() if key not in ("summary", "description")},
        )
        self._tickets[ticket.id] = ticket
        return JSONResponse(self._as_json(ticket), 201)

    async def _ticket(self, request: Request) -> Response:
        ticket = self._asked_ticket(request)
        if "text/html" in request.headers.get("accept", ""):
            return page(ticket.summary, ticket_section(ticket))
        return JSONResponse(self._as_json(ticket))

    async def _comment(self, request: Request) -> Response:
        ticket = self._asked_ticket(request)
        facts = await _body(request)
        ticket.comments.append(_text(facts, "text"))
        if facts.get("close") is True:
            ticket.status = "closed"
        return JSONResponse(self._as_json(ticket), 201)

    async def _resolve(self, request: Request) -> Response:
        if request.headers.get("origin", self.url) not in self._own_origins():
            raise HTTPException(403, "The ticket desk takes no requests from other pages.")
        self._asked_ticket(request).status = "resolved"
        return RedirectResponse("/tickets", 303)

    async def _desk(self, _: Request) -> Response:
        newest_first = reversed(self._tickets.values())
        sections = "".join(map(ticket_section, newest_first))
        return page("Ticket desk", sections or "<p>No tickets yet.</p>")

    def _asked_ticket(self, request: Request) -> Ticket:
        return _found(self._tickets, request.path_params["id"], "ticket")

    def _as_json(self, ticket: Ticket) -> dict[str, Any]:
        return {
            "id": ticket.id,
            "url": f"{self.url}/tickets/{ticket.id}",
            "status": ticket.status,
            "summary": ticket.summary,
        }

    def _own_origins(self) -> tuple[str, str]:
        return self.url, self.url.replace(HOST, "localhost")


async def _home(_: Request) -> Response:
    return RedirectResponse("/tickets")


async def _body(request: Request) -> dict[str, Any]:
    if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
        raise HTTPException(413, "The body is too large.")
    try:
        body = await request.json()
    except ValueError:
        raise HTTPException(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The body is not a JSON object.")
    return body


def _text(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key)
    if not isinstance(value, str) or not value:
        raise HTTPException(422, f"The text {key!r} is missing.")
    return value


def _found(things: Kept[T], key: str, kind: str) -> T:
    thing = things.get(key)
    if thing is None:
        raise HTTPException(404, f"There is no {kind} {key!r}.")
    return thing


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for this class alone)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
