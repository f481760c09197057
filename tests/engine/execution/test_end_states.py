"""Whatever the graph and whatever the steps do: a request ends, and its end says what happened."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.catalog.documents import load_fulfillment
from engine.requests.plan import plan_steps
from engine.steps.base import Completed, Waiting
from tests.support.engines import automation
from tests.support.workbench import Workbench, fail, states, step

BEHAVIOURS = ("works", "waits", "retries", "fails", "left out")


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[dict[str, Any], str]]:
    """Steps that depend on earlier ones, each with what it does."""
    names = [f"s{n}" for n in range(draw(st.integers(1, 7)))]
    steps = []
    for index, name in enumerate(names):
        explicit = draw(st.booleans())
        before = draw(st.sets(st.sampled_from(names[:index]))) if index and explicit else set()
        behaviour = draw(st.sampled_from(BEHAVIOURS))
        config: dict[str, Any] = {"depends_on": sorted(before)} if explicit else {}
        if behaviour == "left out":
            config["when"] = False
        steps.append((step(name, **config), behaviour))
    return steps


SCENES: dict[str, list[Any]] = {
    "works": [Completed({"x": 1})],
    "waits": [Waiting(0.0, {}), Completed({"x": 1})],
    "retries": [fail(), Completed({"x": 1})],
    "fails": [fail(kind="permanent")],
    "left out": [],
}


def expected(steps: list[tuple[dict[str, Any], str]]) -> dict[str, str]:
    """What each step must end as, by its behaviour and what it depends on."""
    planned = plan_steps(
        load_fulfillment(automation([one for one, _ in steps])), automation([s for s, _ in steps])
    )
    behaviours = {one["name"]: behaviour for one, behaviour in steps}
    ends: dict[str, str] = {}
    blocked: set[str] = set()
    for one in planned:
        if blocked & set(one.depends_on):
            ends[one.step_id] = "skipped"
            blocked.add(one.step_id)
        elif behaviours[one.step_id] == "fails":
            ends[one.step_id] = "failed"
            blocked.add(one.step_id)
        else:
            is_out = behaviours[one.step_id] == "left out"
            ends[one.step_id] = "skipped" if is_out else "completed"
    return ends


@given(steps=graphs())
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_every_graph_comes_to_the_end_that_its_steps_deserve(
    bench: Workbench, steps: list[tuple[dict[str, Any], str]]
) -> None:
    bench.script.clear()
    bench.script.update({one["name"]: list(SCENES[behaviour]) for one, behaviour in steps})
    request = await bench.request([one for one, _ in steps])
    done = await bench.run(request)
    ends = expected(steps)
    assert states(done) == ends
    assert done.status == ("failed" if "failed" in ends.values() else "completed")
    counters = await bench.one(
        "SELECT open_steps || ' ' || failed_steps FROM service_requests WHERE request_id = %s",
        request.request_id,
    )
    assert counters == f"0 {sum(end == 'failed' for end in ends.values())}"
    claimable = await bench.one(
        "SELECT count(*) FROM request_steps s JOIN service_requests r ON r.id = s.request_id"
        " WHERE r.request_id = %s AND (s.next_run_at IS NOT NULL OR s.lease_owner IS NOT NULL)",
        request.request_id,
    )
    assert claimable == 0
