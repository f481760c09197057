"""Tickets: asked for by a failure, made once, followed until the work is done."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from engine.requests.begin import locked
from engine.steps.base import Completed, Waiting
from engine.store.pool import transaction
from tests.support.engines import ALICE, MANUAL, automation
from tests.support.eventually import eventually
from tests.support.operations import operate
from tests.support.workbench import Workbench, fail, states, step, step_of

PERMANENT: dict[str, Any] = {"kind": "permanent"}


async def failed_request(bench: Workbench, **config: Any) -> Any:
    bench.script["a"] = [fail("the cloud is full", **PERMANENT), Completed()]
    request = await bench.request([step("a", **config), step("b")])
    return await bench.run(request)


async def make_tickets(bench: Workbench) -> None:
    while await bench.outbox().work():
        pass


async def poll_now(bench: Workbench) -> None:
    await bench.connection.execute(
        "UPDATE manual_tickets SET next_poll_at = clock_timestamp() WHERE next_poll_at IS NOT NULL"
    )
    await bench.outbox().poll()


async def test_a_failure_for_good_makes_one_ticket_that_tells_the_story(bench: Workbench) -> None:
    failed = await failed_request(bench)
    await make_tickets(bench)
    (draft,) = bench.tickets.made.values()
    for fact in (failed.request_id, "Step: a", "the cloud is full", '"size": "small"'):
        assert fact in draft.description
    view = await bench.view(failed)
    (ticket,) = step_of(view, "a").tickets
    assert (ticket.ticket_id, ticket.status, ticket.type) == ("T-1", "open", "fulfillment")
    assert "ticket.created" in await bench.kinds(failed)


async def test_while_it_is_being_made_the_ticket_shows_as_creating(bench: Workbench) -> None:
    bench.tickets.down = True
    failed = await failed_request(bench)
    await make_tickets(bench)
    (ticket,) = step_of(await bench.view(failed), "a").tickets
    assert (ticket.ticket_id, ticket.status) == (None, "creating")
    assert "the ticket system is down" in (ticket.last_error or "")
    assert "ticket.delayed" in await bench.kinds(failed)
    bench.tickets.down = False
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")
    await make_tickets(bench)
    assert step_of(await bench.view(failed), "a").tickets[0].ticket_id == "T-1"


async def test_many_workers_make_one_ticket(bench: Workbench) -> None:
    await bench.request(fulfillment={"manual": MANUAL})
    await asyncio.gather(*(bench.outbox().work() for _ in range(6)))
    assert len(bench.tickets.made) == 1
    assert await bench.one("SELECT count(*) FROM manual_tickets") == 1


async def test_a_ticket_is_kept_while_its_step_is_held(bench: Workbench) -> None:
    # Who ends a request takes its steps and then its outbox: waiting for each other, they deadlock.
    bench.tickets.down = True
    failed = await failed_request(bench)
    bench.tickets.down = False
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")
    id_ = await bench.one("SELECT id FROM service_requests")
    async with transaction(bench.pool) as ending:
        await locked(ending, id_)
        await make_tickets(bench)
        assert await bench.one("SELECT count(*) FROM manual_tickets") == 1
    assert step_of(await bench.view(failed), "a").tickets[0].ticket_id == "T-1"


async def test_no_fallback_makes_no_ticket(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT)]
    await bench.run(await bench.request([step("a")], fallback_on_failure=False))
    assert await bench.outbox().work() == 0


async def test_a_resolved_ticket_completes_the_step_and_the_request_goes_on(
    bench: Workbench,
) -> None:
    failed = await failed_request(bench)
    await make_tickets(bench)
    bench.tickets.states["T-1"] = "resolved"
    await poll_now(bench)
    done = await bench.run(failed)
    assert done.status == "completed"
    assert states(done) == {"a": "completed", "b": "completed"}
    assert bench.steps.phases("a") == ["start"]
    assert "ticket.resolved" in await bench.kinds(failed)


async def test_a_ticket_is_resolved_though_its_request_cannot_go_on(bench: Workbench) -> None:
    made = await bench.run(await bench.request([step("made")]))
    bench.script["resize"] = [fail(**PERMANENT)]
    failed = await bench.run(await operate(bench, made.instance_id or "", "update", ["resize"]))
    await make_tickets(bench)
    # As when the bundle that it is a member of was decommissioned.
    await bench.connection.execute(
        "UPDATE service_instances SET instance_state = 'decommissioned',"
        " decommissioned_at = clock_timestamp()"
    )
    bench.tickets.states["T-1"] = "resolved"
    await poll_now(bench)
    view = await bench.view(failed)
    assert view.status == "failed"
    assert [ticket.status for ticket in step_of(view, "resize").tickets] == ["resolved"]
    assert "step.progress" in await bench.kinds(failed)


async def test_a_ticket_that_is_done_while_the_request_runs_counts_when_it_has_failed_again(
    bench: Workbench,
) -> None:
    bench.script["a"] = [fail(**PERMANENT), Waiting(3600.0, {}), Completed()]
    bench.script["b"] = [fail(**PERMANENT)]
    request = await bench.request([step("a"), step("b", depends_on=[])])
    await bench.run(request)
    await make_tickets(bench)
    (ticket,) = step_of(await bench.view(request), "b").tickets
    await bench.engine.retry(ALICE, request.request_id, "a")
    async with bench.carrying():
        waits = "SELECT bool_or(phase = 'poll' AND lease_owner IS NULL) FROM request_steps"
        await eventually(lambda: bench.one(waits))
    bench.tickets.states[ticket.ticket_id or ""] = "resolved"
    await poll_now(bench)
    assert states(await bench.view(request)) == {"a": "running", "b": "failed"}

    await bench.connection.execute(
        "UPDATE request_steps SET next_run_at = clock_timestamp() WHERE status = 'running'"
    )
    assert (await bench.run(request)).status == "failed"
    await poll_now(bench)
    assert (await bench.view(request)).status == "completed"


async def test_a_resolved_ticket_asks_for_outputs_that_are_declared(bench: Workbench) -> None:
    failed = await failed_request(bench, outputs=["endpoint"])
    await make_tickets(bench)
    bench.tickets.states["T-1"] = "resolved"
    await poll_now(bench)
    assert (await bench.view(failed)).status == "failed"
    assert "step.progress" in await bench.kinds(failed)
    await bench.engine.resolve(ALICE, failed.request_id, outputs={"endpoint": "x"})
    assert (await bench.run(failed)).status == "completed"


async def test_the_ticket_of_a_retried_step_is_commented_and_closed(bench: Workbench) -> None:
    failed = await failed_request(bench)
    await make_tickets(bench)
    await bench.engine.retry(ALICE, failed.request_id, "a")
    assert (await bench.run(failed)).status == "completed"
    await make_tickets(bench)
    assert {(one[0], one[2]) for one in bench.tickets.comments} == {("T-1", True)}
    assert step_of(await bench.view(failed), "a").tickets[0].status == "closed"


async def test_a_retry_before_the_ticket_was_made_gives_it_up(bench: Workbench) -> None:
    bench.tickets.down = True
    failed = await failed_request(bench)
    await make_tickets(bench)
    await bench.engine.retry(ALICE, failed.request_id, "a")
    bench.tickets.down = False
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")
    await make_tickets(bench)
    assert bench.tickets.made == {}


async def test_a_manual_only_request_is_in_progress_until_its_ticket_is_done(
    bench: Workbench,
) -> None:
    request = await bench.request(fulfillment={"manual": MANUAL})
    assert request.status == "in_progress"
    assert [one.status for one in request.tickets] == ["creating"]
    await make_tickets(bench)
    assert [one.ticket_id for one in (await bench.view(request)).tickets] == ["T-1"]
    bench.tickets.states["T-1"] = "in_progress"
    await poll_now(bench)
    assert (await bench.view(request)).tickets[0].status == "in_progress"
    bench.tickets.states["T-1"] = "resolved"
    await poll_now(bench)
    done = await bench.view(request)
    assert done.status == "completed"
    instance = await bench.engine.instance(ALICE, done.instance_id or "")
    assert instance.instance_state == "active"


async def test_a_ticket_that_is_done_when_it_is_kept_completes_the_request(
    bench: Workbench,
) -> None:
    bench.tickets.states["T-1"] = "resolved"  # found again after a death, or answered so at once
    request = await bench.request(fulfillment={"manual": MANUAL})
    await make_tickets(bench)
    assert (await bench.view(request)).status == "completed"
    kinds = await bench.kinds(request)
    assert kinds.index("ticket.created") < kinds.index("ticket.resolved")


async def test_a_manual_only_request_is_resolved_without_naming_a_step(bench: Workbench) -> None:
    request = await bench.request(fulfillment={"manual": MANUAL})
    done = await bench.engine.resolve(ALICE, request.request_id)
    assert done.status == "completed"
    await make_tickets(bench)
    assert bench.tickets.made == {}


async def test_a_template_that_does_not_render_still_makes_a_ticket(bench: Workbench) -> None:
    manual = {**MANUAL, "template": {**MANUAL["template"], "body": {"x": "{{ no.such.thing }}"}}}
    bench.script["a"] = [fail(**PERMANENT)]
    await bench.run(await bench.request(fulfillment={**automation([step("a")]), "manual": manual}))
    await make_tickets(bench)
    (draft,) = bench.tickets.made.values()
    assert "could not be rendered" in draft.description


async def test_polls_grow_from_five_seconds_to_five_minutes(bench: Workbench) -> None:
    await failed_request(bench)
    await make_tickets(bench)
    waits = []
    for _ in range(14):
        await poll_now(bench)
        waits.append(
            await bench.one(
                "SELECT extract(epoch FROM next_poll_at - clock_timestamp())::float8 FROM manual_tickets"
            )
        )
    assert 5 < waits[0] < 8
    assert all(later > earlier for earlier, later in itertools.pairwise(waits[:9]))
    assert 295 < waits[-1] <= 300


async def test_secrets_are_dots_in_tickets(bench: Workbench) -> None:
    bench.script["a"] = [fail("it said hush-hush-word", **PERMANENT)]
    fields = [{"name": "token", "type": "secret"}]
    await bench.run(
        await bench.request([step("a")], fields=fields, parameters={"token": "hush-hush-word"})
    )
    await make_tickets(bench)
    (draft,) = bench.tickets.made.values()
    assert "hush-hush-word" not in draft.description + draft.summary + str(draft.parameters)


async def test_a_ticket_is_followed_with_its_template_as_it_renders_now(bench: Workbench) -> None:
    manual = {
        "system": "webhook",
        "template": {"url": "http://t/{{ size }}", "headers": {"a": "b"}},
    }
    await bench.request(fulfillment={"manual": manual})
    await make_tickets(bench)
    await poll_now(bench)
    (followed,) = bench.tickets.followed
    assert followed.template == {"url": "http://t/small", "headers": {"a": "b"}}


async def test_a_ticket_whose_template_does_not_render_is_followed_without_it(
    bench: Workbench,
) -> None:
    manual = {"system": "webhook", "template": {"url": "{{ size.nothing.there }}"}}
    await bench.request(fulfillment={"manual": manual})
    await make_tickets(bench)
    await poll_now(bench)
    (followed,) = bench.tickets.followed
    assert followed.template == {}
