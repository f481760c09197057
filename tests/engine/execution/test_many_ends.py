"""Requests that end together: one call moves them all, by the rules of each, or none."""

from __future__ import annotations

import psycopg
import pytest

from engine.steps.base import Completed
from tests.support.workbench import Workbench, fail, step

MOVE = b"SELECT update_request_statuses(ARRAY(SELECT id FROM service_requests), %s)"


async def test_requests_that_end_together_each_have_their_end(bench: Workbench) -> None:
    bench.script["bad"] = [fail(kind="permanent")]
    bench.script["good"] = [Completed({"host": "h"})]
    good = [await bench.request([step("good")], item=f"good-{n}") for n in range(6)]
    bad = [await bench.request([step("bad")], item=f"bad-{n}") for n in range(3)]
    async with bench.carrying():
        completed = [await bench.ended(one) for one in good]
        failed = [await bench.ended(one) for one in bad]
    assert [(one.status, one.outputs) for one in completed] == [("completed", {"host": "h"})] * 6
    assert [one.status for one in failed] == ["failed"] * 3
    for one, kind in [(good[0], "request.completed"), (bad[0], "request.failed")]:
        assert (await bench.kinds(one)).count(kind) == 1
    assert await bench.one("SELECT count(*) FROM outbox WHERE kind = 'ticket'") == 3


async def test_one_request_that_may_not_move_keeps_the_others_where_they_are(
    bench: Workbench,
) -> None:
    await bench.request([step("a")], item="one")
    done = await bench.request([step("a")], item="two")
    await bench.connection.execute(
        b"UPDATE service_requests SET status = 'completed' WHERE request_id = %s",
        (done.request_id,),
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="from completed to failed"):
        await bench.connection.execute(MOVE, ("failed",))
    statuses = "SELECT string_agg(status, ' ' ORDER BY status) FROM service_requests"
    assert await bench.one(statuses) == "completed in_progress"
