"""Steps that people do: a ticket each, ended by whoever says first that the work is done."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from engine import RequestView
from engine.errors import Conflict, InvalidInput
from engine.store import outbox
from engine.store.pool import transaction
from tests.support.engines import ALICE
from tests.support.eventually import eventually
from tests.support.operations import operate
from tests.support.workbench import Workbench, states, step

CLEANUP: dict[str, Any] = {"name": "cleanup", "type": "manual", "config": {"type": "cleanup"}}
AFTER: dict[str, Any] = {"name": "after", "depends_on": ["cleanup"]}


async def waiting(bench: Workbench, *steps: Any) -> RequestView:
    """A decommission whose first step is a person's, as it waits with its ticket T-1."""
    made = await bench.run(await bench.request([step("make")]))
    request = await operate(bench, str(made.instance_id), "decommission", [CLEANUP, *steps])
    async with bench.carrying():
        await bench.when(request, lambda view: states(view)["cleanup"] == "running")

    async def is_made() -> bool:
        await bench.outbox().work()
        return bool(await bench.one("SELECT count(*) FROM manual_tickets"))

    await eventually(is_made)
    return await bench.view(request)


async def poll(bench: Workbench, status: str) -> None:
    bench.tickets.states["T-1"] = status
    await bench.connection.execute(
        "UPDATE manual_tickets SET next_poll_at = clock_timestamp() WHERE next_poll_at IS NOT NULL"
    )
    await bench.outbox().poll()


async def test_waiting_for_people_holds_nothing_and_is_far_from_due(bench: Workbench) -> None:
    await waiting(bench)

    held = "SELECT lease_owner IS NULL AND next_run_at > now() + interval '1 hour'"
    assert await bench.one(f"{held} FROM request_steps WHERE step_type = 'manual'")


@pytest.mark.parametrize("status", ["resolved", "closed"])
async def test_a_ticket_that_is_done_completes_the_step(bench: Workbench, status: str) -> None:
    request = await waiting(bench, AFTER)

    await poll(bench, status)

    assert states(await bench.view(request)) == {"cleanup": "completed", "after": "pending"}
    assert (await bench.run(request)).status == "completed"
    kinds = await bench.kinds(request)
    assert (kinds.count("ticket.resolved"), kinds.count("step.completed")) == (1, 2)


async def test_a_ticket_in_progress_changes_nothing(bench: Workbench) -> None:
    request = await waiting(bench)

    await poll(bench, "in_progress")

    assert states(await bench.view(request)) == {"cleanup": "running"}


async def test_resolve_completes_the_step_and_its_ticket(bench: Workbench) -> None:
    request = await waiting(bench, AFTER)

    await bench.engine.resolve(ALICE, request.request_id, outputs={"cleaned": "all"})

    view = await bench.run(request)
    assert (view.status, view.steps[0].outputs) == ("completed", {"cleaned": "all"})
    assert [ticket.status for ticket in view.steps[0].tickets] == ["resolved"]


async def test_resolve_before_the_ticket_is_made_gives_it_up(bench: Workbench) -> None:
    bench.tickets.down = True
    made = await bench.run(await bench.request([step("make")]))
    request = await operate(bench, str(made.instance_id), "decommission", [CLEANUP])
    async with bench.carrying():
        await bench.when(request, lambda view: states(view)["cleanup"] == "running")
        await bench.engine.resolve(ALICE, request.request_id)
        assert (await bench.ended(request)).status == "completed"
    bench.tickets.down = False
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")

    await bench.outbox().work()

    assert bench.tickets.made == {}


async def test_two_who_say_it_at_once_complete_it_once(bench: Workbench) -> None:
    request = await waiting(bench)

    async def resolve() -> None:
        with suppress(Conflict, InvalidInput):
            await bench.engine.resolve(ALICE, request.request_id)

    await asyncio.gather(poll(bench, "resolved"), *(resolve() for _ in range(4)))

    assert (await bench.view(request)).status == "completed"
    kinds = await bench.kinds(request)
    assert (kinds.count("step.completed"), kinds.count("request.completed")) == (1, 1)


async def test_an_abort_closes_the_ticket(bench: Workbench) -> None:
    request = await waiting(bench)

    await bench.engine.abort(ALICE, request.request_id, cleanup=False)

    view = await bench.run(request)
    assert view.status == "aborted"
    assert [ticket.status for ticket in view.steps[0].tickets] == ["closed"]


async def test_work_that_took_too_long_keeps_its_ticket_which_still_resolves_it(
    bench: Workbench,
) -> None:
    request = await waiting(bench, AFTER)
    await bench.connection.execute(
        "UPDATE service_requests SET timeout_at = clock_timestamp() - interval '1 s'"
        " WHERE status = 'in_progress'"
    )
    await bench.reap()
    failed = await bench.run(request)
    assert states(failed) == {"cleanup": "failed", "after": "skipped"}
    async with transaction(bench.pool) as connection:
        assert not await outbox.claim(connection, "t", limit=9, lease=bench.config.lease)

    await poll(bench, "resolved")

    done = await bench.run(request)
    assert (done.status, states(done)["cleanup"]) == ("completed", "completed")


async def test_a_document_without_a_manual_section_fails_the_step_in_words(
    bench: Workbench,
) -> None:
    made = await bench.run(await bench.request([step("make")]))
    request = await operate(
        bench, str(made.instance_id), "decommission", [CLEANUP], plan={"fulfillment": {}}
    )

    failed = await bench.run(request)

    assert failed.steps[0].attempts[-1].error_type == "no_manual_section"
