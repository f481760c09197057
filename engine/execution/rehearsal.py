"""Rehearsal: what a request would do, found out without doing any of it.

    in the transaction that is rolled back    read_plan: the request as its steps would see it
    afterwards, in no transaction             rendering, then Terraform's plans, two at a time

Every step goes as far as it can before anything ran: its `when` is decided, its template and its
verifications are rendered and judged by their types (engine/execution/script.py), and a step type
that can look ahead (engine.steps.base.Foresees) says what it would change. So do a rollback's steps,
but for looking ahead, the tickets that would ask for work by hand, and the checks before the steps.

Nothing is written anywhere but into a folder that is removed: no row, no log, no state. What a
killed process leaves of it is swept away like what attempts leave (engine/execution/leftovers.py).
The id of the request, and of an instance that it would make, are those of a request that was never
made: the real one has others.

Secrets are decrypted for the rendering, as when a step runs, and everything that is given out is
redacted by them.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

from engine.errors import PaoError
from engine.execution.leftovers import rehearsals_folder
from engine.execution.looking_ahead import LookAhead
from engine.execution.run import Surroundings
from engine.execution.scope import secret_ids
from engine.execution.script import PlannedRequest, Rehearsed, Script, told
from engine.results import Rehearsal, RequestView, StepView
from engine.steps.base import Foreseen, Foresees
from engine.store import claimed, requests, secrets
from engine.store.claimed import ClaimedRequest
from engine.store.pool import Connection
from engine.tickets.registry import TicketRegistry

AT_A_TIME: Final = 2
"""Looks ahead that a process takes at a time."""

SECONDS: Final = 180.0
"""How long a rehearsal looks ahead where nothing else is said."""


async def read_plan(connection: Connection, request_id: UUID) -> PlannedRequest:
    """Read a request in the transaction that wrote it."""
    request = (await claimed.requests_of(connection, [request_id]))[request_id]
    steps = await requests.steps_of(connection, request_id, untouched_rollback=True)
    return PlannedRequest(request, steps, await secrets.by_id(connection, set(secret_ids(request))))


class Rehearsals:
    """Rehearses requests; one for a process."""

    def __init__(self, around: Surroundings, systems: TicketRegistry) -> None:
        self._around = around
        self._systems = systems
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def rehearse(
        self, view: RequestView, planned: PlannedRequest, seconds: float = SECONDS
    ) -> RequestView:
        """Return the request with what would become of its steps, and what else would be rendered.

        `view` is of the planned request; looking ahead takes so many seconds at most.
        """
        until = asyncio.get_running_loop().time() + seconds
        script = Script(planned, self._around, self._systems)
        rehearsed = script.steps()
        async with asyncio.TaskGroup() as group:
            looks = [
                group.create_task(self._look_ahead(planned.request, one, until))
                for one in rehearsed
            ]
        found = {one.row.step_id: one for one in (look.result() for look in looks)}
        return replace(
            view,
            steps=[replace(step, rehearsal=found[step.step_id].as_json()) for step in view.steps],
            rehearsal=Rehearsal(
                rollback=_rollback(found.values()),
                tickets=script.tickets(),
                checks=script.checks(),
            ),
        )

    async def _look_ahead(
        self, request: ClaimedRequest, step: Rehearsed, until: float
    ) -> Rehearsed:
        """Let the step's type say what it would change, where the step is wholly known."""
        if step.scope is None or step.template is None or step.problem is not None:
            return step
        step_type = self._around.steps.get(step.row.step_type)
        if not isinstance(step_type, Foresees):
            return step
        if step.is_rollback:
            return replace(step, note="Its plan is known when something has failed")
        if step.template.late:
            return replace(step, note="Its plan is known when what it waits for is known")
        try:
            async with asyncio.timeout_at(until), self._slots:
                return step.foreseeing(await self._foreseen(step_type, request, step))
        except TimeoutError:
            return replace(step, note="Its plan took too long to be waited for")
        except PaoError as error:
            return replace(step, problem=told(error))

    async def _foreseen(
        self, step_type: Foresees, request: ClaimedRequest, step: Rehearsed
    ) -> Foreseen:
        folder = _new_folder(self._around.data_dir)
        try:
            return await step_type.foresee(LookAhead(request, step, folder))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _rollback(found: Iterable[Rehearsed]) -> list[StepView]:
    return [
        StepView(
            step_id=one.row.step_id,
            name=one.row.step_name,
            type=one.row.step_type,
            status=one.row.status,
            depends_on=tuple(one.row.depends_on or ()),
            started_at=None,
            completed_at=None,
            outputs=None,
            attempts=(),
            tickets=(),
            rehearsal=one.as_json(),
        )
        for one in found
        if one.is_rollback
    ]


def _new_folder(data_dir: Path) -> Path:
    """Make a folder, at once: a thread that makes one cannot be cancelled."""
    parent = rehearsals_folder(data_dir)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))
