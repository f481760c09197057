"""What the playground shows of the engine beside the conversation.

The process that starts both passes an `EnginePanel`; the playground itself knows nothing of the
engine. Everything is JSON: times as ISO 8601 strings, states as the engine's words.
"""

from __future__ import annotations

from typing import Any, NotRequired, Protocol, TypedDict


class RequestRow(TypedDict):
    """One request in the list, newest first."""

    id: str
    kind: str
    title: str
    state: str
    requester: str
    created_at: str


class AttemptRow(TypedDict):
    """One execution of a step."""

    number: int
    state: str
    started_at: NotRequired[str | None]
    ended_at: NotRequired[str | None]
    error: NotRequired[str | None]
    log: NotRequired[str]


class StepRow(TypedDict):
    """A step, the ids of the steps it waits for, and its attempts; `component` of a bundle."""

    id: str
    name: str
    component: str | None
    type: str
    state: str
    depends_on: list[str]
    attempts: list[AttemptRow]


class RequestDetail(RequestRow):
    """A request with its steps."""

    steps: list[StepRow]


class InstanceRow(TypedDict):
    """One service instance in the list."""

    id: str
    name: str
    item: str
    version: str
    state: str
    team: str


class InstanceNode(InstanceRow):
    """An instance in a graph, with the ids of those that it needs: providers, a bundle's members."""

    after: list[str]


class InstanceDetail(InstanceRow):
    """An instance, and the graph of all that hangs together with it, itself included."""

    outputs: dict[str, Any]
    members: list[str]
    graph: list[InstanceNode]


class EnginePanel(Protocol):
    """Reads the engine; a method with an id returns None where there is nothing of that id."""

    async def requests(self) -> list[RequestRow]:
        """Return the newest requests."""
        ...

    async def request(self, request_id: str) -> RequestDetail | None:
        """Return one request."""
        ...

    async def instances(self) -> list[InstanceRow]:
        """Return the instances."""
        ...

    async def instance(self, instance_id: str) -> InstanceDetail | None:
        """Return one instance."""
        ...
