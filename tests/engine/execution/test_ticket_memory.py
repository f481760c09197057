"""What a try to make a ticket remembers, the next worker's try knows; and it comes no sooner than asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.errors import StepFailed
from engine.execution.lease import LeaseLost
from engine.tickets.base import Ticket, TicketDraft
from tests.support.workbench import Workbench, fail, step


class Forgetful:
    """A ticket system whose first answer is lost."""

    def __init__(self) -> None:
        self.knew: list[Mapping[str, Any]] = []

    async def create(self, draft: TicketDraft) -> Ticket:
        self.knew.append(dict(draft.memory.external))
        await draft.memory.remember({f"try {len(self.knew)}": True})
        await draft.memory.check_lease()
        if len(self.knew) == 1:
            raise StepFailed("outcome_unknown", "lost", kind="transient", retry_after=600)
        return Ticket("T-9", None, "open")


@pytest.fixture
async def system(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Forgetful:
    """It takes the place of one that was down when the request failed."""
    forgetful = Forgetful()
    bench.tickets.down = True
    bench.script["a"] = [fail("the cloud is full", kind="permanent")]
    await bench.run(await bench.request([step("a")]))
    monkeypatch.setattr(bench.tickets, "create", forgetful.create)
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")
    return forgetful


async def test_the_next_try_knows_and_waits_as_long_as_it_was_asked_to(
    bench: Workbench, system: Forgetful
) -> None:
    assert await bench.outbox().work() == 1
    row = await bench.connection.execute(
        "SELECT due > clock_timestamp() + interval '500 s' FROM outbox WHERE done_at IS NULL"
    )
    assert await row.fetchone() == (True,)
    assert await bench.outbox().work() == 0
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")
    assert await bench.outbox().work() == 1
    assert system.knew == [{}, {"try 1": True}]
    assert await bench.outbox().work() == 0


async def test_an_item_that_another_worker_has_remembers_nothing(
    bench: Workbench, system: Forgetful, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def create(draft: TicketDraft) -> Ticket:
        await bench.connection.execute("UPDATE outbox SET lease_token = lease_token + 1")
        with pytest.raises(LeaseLost):
            await draft.memory.check_lease()
        seen.append(draft.key)
        raise LeaseLost("gone")

    monkeypatch.setattr(bench.tickets, "create", create)
    assert await bench.outbox().work() == 1
    assert seen
