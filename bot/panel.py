"""What the playground shows of the engine beside the conversation: the engine's own answers, reshaped."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.errors import NotFound

if TYPE_CHECKING:
    from bot.playground.engine_panel import (
        AttemptRow,
        InstanceDetail,
        InstanceNode,
        InstanceRow,
        RequestDetail,
        RequestRow,
        StepRow,
    )
    from engine import Actor, AttemptView, Engine, InstanceView, RequestView, StepView

SHOWN = 30
"""Requests and instances in the lists, the newest."""

CONNECTED = 40
"""Instances in one graph."""


class Panel:
    """Reads as the demo's operator, an admin."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def requests(self) -> list[RequestRow]:
        """Return the newest requests."""
        page = await self._engine.requests(await self._operator(), scope="all", limit=SHOWN)
        return [
            {
                "id": request.request_id,
                "kind": request.request_type,
                "title": request.title,
                "state": request.status,
                "requester": request.requester,
                "created_at": request.created_at.isoformat(),
            }
            for request in page.items
        ]

    async def request(self, request_id: str) -> RequestDetail | None:
        """Return one request with its steps and what their attempts logged."""
        operator = await self._operator()
        try:
            view = await self._engine.request(operator, request_id)
        except NotFound:
            return None
        return {
            "id": view.request_id,
            "kind": view.request_type,
            "title": view.title,
            "state": view.status,
            "requester": view.requester,
            "created_at": view.created_at.isoformat(),
            "steps": [await self._step(operator, view, step) for step in view.steps],
        }

    async def instances(self) -> list[InstanceRow]:
        """Return the newest instances."""
        page = await self._engine.instances(await self._operator(), scope="all", limit=SHOWN)
        return [
            {
                "id": instance.instance_id,
                "name": instance.instance_name,
                "item": instance.catalog_name,
                "version": instance.catalog_version,
                "state": instance.instance_state,
                "team": instance.owner_team,
            }
            for instance in page.items
        ]

    async def instance(self, instance_id: str) -> InstanceDetail | None:
        """Return one instance, with all that hangs together with it."""
        operator = await self._operator()
        try:
            view = await self._engine.instance(operator, instance_id)
        except NotFound:
            return None
        connected = await self._connected(operator, view)
        return {
            **_instance_row(view),
            "outputs": dict(view.service_outputs),
            "members": [member.instance_id for member in view.members],
            "graph": [_node(one) for one in connected],
        }

    async def _connected(self, operator: Actor, start: InstanceView) -> list[InstanceView]:
        """Return the instances that dependencies and bundles connect, the nearest first."""
        found = {start.instance_id: start}
        waiting = deque(_neighbours(start))
        while waiting and len(found) < CONNECTED:
            near = waiting.popleft()
            if near not in found:
                found[near] = await self._engine.instance(operator, near)
                waiting.extend(_neighbours(found[near]))
        return list(found.values())

    async def _step(self, operator: Actor, view: RequestView, step: StepView) -> StepRow:
        logs = await self._engine.logs(operator, view.request_id, step.step_id)
        texts = {log.attempt_number: log.text for log in logs}
        component = step.step_id.split("/", 1)[0] if "/" in step.step_id else None
        return {
            "id": step.step_id,
            "name": step.name,
            "component": component if component in view.components else None,
            "type": step.type,
            "state": step.status,
            "depends_on": list(step.depends_on),
            "attempts": [
                _attempt_row(attempt, texts.get(attempt.attempt_number, ""))
                for attempt in step.attempts
            ],
        }

    async def _operator(self) -> Actor:
        return await self._engine.actor("cli:playground", source="cli")


def _attempt_row(attempt: AttemptView, log: str) -> AttemptRow:
    return {
        "number": attempt.attempt_number,
        "state": attempt.status,
        "started_at": attempt.started_at.isoformat(),
        "ended_at": attempt.completed_at.isoformat() if attempt.completed_at else None,
        "error": attempt.error_message,
        "log": log,
    }


def _neighbours(view: InstanceView) -> list[str]:
    dependencies = [one.instance_id for one in view.dependencies]
    return [*dependencies, *(one.instance_id for one in (*view.members, *view.bundles))]


def _node(view: InstanceView) -> InstanceNode:
    providers = [one for one in view.dependencies if one.relationship == "provider"]
    members = [one.instance_id for one in view.members]
    return {**_instance_row(view), "after": [*(one.instance_id for one in providers), *members]}


def _instance_row(view: InstanceView) -> InstanceRow:
    return {
        "id": view.instance_id,
        "name": view.instance_name,
        "item": view.catalog_item or view.catalog_bundle or "",
        "version": view.catalog_version,
        "state": view.instance_state,
        "team": view.owner_team,
    }
