"""Tickets in Jira: made once, followed, commented and closed."""

import pytest
from starlette.responses import Response

from engine.config import TicketSystemSettings
from engine.errors import StepFailed
from engine.memory import Unkept
from engine.outbound import Outbound
from engine.tickets.base import TicketDraft
from engine.tickets.jira import JiraTickets
from tests.support.jira_server import TOKEN, USER, running_jira
from tests.support.steps import services


@pytest.fixture
async def jira():
    async with running_jira() as server:
        yield server


@pytest.fixture
def system(jira, tmp_path) -> JiraTickets:
    settings = TicketSystemSettings(jira_url=jira.url, jira_user=USER, jira_token=TOKEN)
    return JiraTickets(services(Outbound(), tmp_path, tickets=settings))


def draft(**template: object) -> TicketDraft:
    return TicketDraft(
        key="key-1",
        summary="Make a database",
        description="It failed: no space left",
        template={"project": "OPS", "issue_type": "Task", "summary": "x", **template},
        request_id="req-1",
        ticket_type="fulfillment",
        memory=Unkept(),
    )


async def test_a_ticket_is_made_once_for_its_key(system, jira) -> None:
    for _ in range(2):
        ticket = await system.create(draft(labels=["db"]))
    assert (ticket.ticket_id, ticket.url) == ("OPS-1", f"{jira.url}/browse/OPS-1")
    assert (ticket.status, ticket.external_status) == ("open", "Zu tun")
    (made,) = jira.issues
    assert made.fields["summary"] == "Make a database"
    assert "It failed: no space left" in made.fields["description"]
    assert made.fields["labels"] == ["db", "pao-key-1"]


@pytest.mark.parametrize(
    ("moved", "status"),
    [("In Arbeit", "in_progress"), ("Fertig", "resolved"), ("Abgelehnt", "resolved")],
)
async def test_a_status_is_known_by_its_category(system, jira, moved: str, status: str) -> None:
    ticket = await system.create(draft())
    jira.issues[0].move(moved)
    followed = await system.follow(ticket)
    assert (followed.status, followed.external_status) == (status, moved)


async def test_after_a_lost_answer_the_next_tries_only_search(system, jira) -> None:
    jira.indexes_at_once = False
    jira.fault("POST", "/issue", lose_answer=True)
    wanted = draft()
    waits = []
    for _ in range(3):
        with pytest.raises(StepFailed) as caught:
            await system.create(wanted)
        assert caught.value.kind == "transient"
        waits.append(caught.value.retry_after)
    assert waits == [10, 40, 120]
    jira.issues[0].indexed = True
    assert (await system.create(wanted)).ticket_id == "OPS-1"
    assert len(jira.issues) == 1


async def test_a_ticket_that_is_not_needed_is_commented_and_closed(system, jira) -> None:
    ticket = await system.create(draft())
    await system.comment(ticket, "Not needed", close=True)
    assert jira.issues[0].comments == ["{noformat}\nNot needed\n{noformat}"]
    assert jira.issues[0].status == "Fertig"


async def test_an_issue_that_cannot_be_closed_or_is_gone_stops_nothing(system, jira) -> None:
    ticket = await system.create(draft())
    jira.can_close = False
    await system.comment(ticket, "Not needed", close=True)
    assert jira.issues[0].status == "Zu tun"
    jira.issues.clear()
    await system.comment(ticket, "Not needed", close=True)


async def test_a_jira_that_is_down_is_told_later(system, jira) -> None:
    ticket = await system.create(draft())
    jira.fault("POST", "/comment", Response(status_code=503))
    with pytest.raises(StepFailed):
        await system.comment(ticket, "Not needed", close=True)


async def test_a_missing_setting_is_named(tmp_path) -> None:
    with pytest.raises(StepFailed, match="JIRA_URL") as caught:
        await JiraTickets(services(Outbound(), tmp_path)).create(draft())
    assert caught.value.kind == "permanent"
