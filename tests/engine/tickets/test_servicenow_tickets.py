"""Tickets in ServiceNow: found by their correlation id, else made; followed, resolved."""

import pytest
from starlette.responses import Response

from engine.config import TicketSystemSettings
from engine.errors import StepFailed
from engine.outbound import Outbound
from engine.tickets.base import TicketDraft
from engine.tickets.servicenow import ServiceNowTickets
from tests.support.servicenow_server import PASSWORD, USER, running_servicenow
from tests.support.steps import services


@pytest.fixture
async def servicenow():
    async with running_servicenow() as server:
        yield server


@pytest.fixture
async def system(servicenow, tmp_path):
    settings = TicketSystemSettings(
        servicenow_url=servicenow.url + "/",
        servicenow_user=USER,
        servicenow_password=PASSWORD,
    )
    way_out = Outbound()  # what the operator sets is outside the guard
    yield ServiceNowTickets(services(way_out, tmp_path, tickets=settings))
    await way_out.stop()


def draft(**template: object) -> TicketDraft:
    return TicketDraft(
        key="abc123",
        summary="Make a database",
        description="It failed: no space left",
        template={"short_description": "x", **template},
        request_id="req-1",
        ticket_type="fulfillment",
    )


async def failure(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


async def test_a_record_is_made_once_for_its_key(system, servicenow) -> None:
    wanted = draft(urgency=2, category="db", fields={"u_cost": 3.5, "correlation_id": "theirs"})
    tickets = [await system.create(wanted) for _ in range(2)]
    assert tickets[0] == tickets[1]
    assert (tickets[0].ticket_id, tickets[0].status) == ("INC0000001", "open")
    assert "incident.do%3Fsys_id%3D" in tickets[0].url
    (record,) = servicenow.records.values()
    assert record["correlation_id"] == "abc123"
    assert record["short_description"] == "Make a database"
    assert record["description"] == "It failed: no space left"
    assert (record["urgency"], record["category"], record["u_cost"]) == ("2", "db", 3.5)


async def test_a_lost_answer_leads_to_the_record_that_was_made(system, servicenow) -> None:
    servicenow.fault("POST", "/incident", lose_answer=True)
    error = await failure(system.create(draft()))
    assert (error.kind, error.retry_after) == ("unknown", 60)
    assert (await system.create(draft())).ticket_id == "INC0000001"
    assert len(servicenow.records) == 1


@pytest.mark.parametrize(
    ("state", "active", "status"),
    [
        ("1", "true", "open"),
        ("2", "true", "in_progress"),
        ("3", "true", "in_progress"),
        ("6", "true", "resolved"),
        ("7", "false", "resolved"),
        ("-5", "false", "resolved"),
    ],
)
async def test_the_states_of_a_record(system, servicenow, state, active, status) -> None:
    ticket = await system.create(draft(table="sc_task"))
    servicenow.records[ticket.external["sys_id"]].update(state=state, active=active)
    followed = await system.follow(ticket)
    assert (followed.status, followed.external_status) == (status, state)
    assert followed.external == ticket.external


async def test_a_record_that_is_not_needed_is_noted_and_resolved(system, servicenow) -> None:
    ticket = await system.create(draft())
    await system.comment(ticket, "Not needed", close=True)
    (record,) = servicenow.records.values()
    assert (record["work_notes"], record["state"]) == ("Not needed", "6")


async def test_a_record_of_another_table_is_noted_only(system, servicenow) -> None:
    ticket = await system.create(draft(table="sc_task"))
    await system.comment(ticket, "Not needed", close=True)
    (record,) = servicenow.records.values()
    assert (record["work_notes"], record["state"]) == ("Not needed", "1")


async def test_a_record_that_is_gone_or_refuses_stops_nothing(system, servicenow) -> None:
    ticket = await system.create(draft())
    servicenow.fault("PATCH", "/incident", Response(status_code=403), times=2)
    await system.comment(ticket, "Not needed", close=True)
    servicenow.records.clear()
    await system.comment(ticket, "Not needed", close=True)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Response(status_code=503), "transient"),
        (Response(status_code=429, headers={"retry-after": "9"}), "transient"),
        (Response(status_code=504), "unknown"),
        (Response("<html>The instance is hibernating", 200), "unknown"),
        (Response('{"result": {}}', 201), "unknown"),
    ],
)
async def test_errors_by_their_kind(system, servicenow, response, kind: str) -> None:
    servicenow.fault("POST", "/incident", response)
    assert (await failure(system.create(draft()))).kind == kind


async def test_what_it_refuses_is_told_in_its_words(system) -> None:
    error = await failure(system.create(draft(table="nonsense")))
    assert (error.kind, "Invalid table nonsense" in error.message) == ("permanent", True)


async def test_wrong_credentials_name_their_settings(servicenow, tmp_path) -> None:
    settings = TicketSystemSettings(
        servicenow_url=servicenow.url, servicenow_user=USER, servicenow_password="wrong"
    )
    way_out = Outbound()
    system = ServiceNowTickets(services(way_out, tmp_path, tickets=settings))
    error = await failure(system.create(draft()))
    await way_out.stop()
    assert error.kind == "permanent"
    assert "SERVICENOW_PASSWORD" in str(error)
    assert "wrong" not in str(error)


async def test_missing_settings_are_named(tmp_path) -> None:
    system = ServiceNowTickets(services(Outbound(), tmp_path))
    error = await failure(system.create(draft()))
    assert error.kind == "permanent"
    for name in ("SERVICENOW_URL", "SERVICENOW_USER", "SERVICENOW_PASSWORD"):
        assert name in error.message
