"""The steps of several components as one plan: nothing begins before what it needs has ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.steps import everything_before, find_cycle
from engine.requests.plan import joined, manual_step
from engine.store.submission import PlannedStep

Graph = dict[str, tuple[str, ...]]


@st.composite
def graphs(draw: st.DrawFn, prefix: str, smallest: int = 1) -> Graph:
    """Names, each waiting for some of those before it."""
    size = draw(st.integers(smallest, 5))
    names = [f"{prefix}{number}" for number in range(size)]
    return {
        name: tuple(draw(st.sets(st.sampled_from(names[:index])))) if index else ()
        for index, name in enumerate(names)
    }


@st.composite
def plans(draw: st.DrawFn) -> tuple[Graph, dict[str, tuple[PlannedStep, ...]]]:
    """Components that wait for each other, with steps that do; some components have none."""
    before = draw(graphs("c"))
    order = draw(st.permutations(list(before)))
    return before, {name: sequence(name, draw(graphs("s", 0))) for name in order}


def sequence(component: str, graph: Graph) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(
            step_id=f"{component}/{name}",
            step_name=name,
            step_type="HttpPost",
            step_config={},
            position=position,
            depends_on=tuple(f"{component}/{other}" for other in waits),
            component=component,
        )
        for position, (name, waits) in enumerate(graph.items())
    )


@given(plans())
def test_a_step_waits_for_all_steps_of_the_components_before_its_own(
    plan: tuple[Graph, dict[str, tuple[PlannedStep, ...]]],
) -> None:
    before, sequences = plan
    steps = joined(sequences, before)
    graph = {step.step_id: step.depends_on for step in steps}
    assert find_cycle(graph) is None
    assert [step.position for step in steps] == list(range(len(steps)))
    assert all(waited in graph for waits in graph.values() for waited in waits)
    for step in steps:
        needed = everything_before(before, step.component or "")
        waited = everything_before(graph, step.step_id)
        assert {one.step_id for one in steps if one.component in needed} <= waited
        others = {one.component for one in steps if one.step_id in waited}
        assert others <= {*needed, step.component}


def test_a_rollback_waits_for_no_other_component() -> None:
    undo = PlannedStep("b/rollback:undo", "undo", "HttpPost", {}, 1, (), "b", "rollback")
    first, own = (
        manual_step("go", "fulfillment", component="a"),
        manual_step("go", "fulfillment", component="b"),
    )
    steps = joined({"a": (first,), "b": (own, undo)}, {"b": ("a",)})
    assert {step.step_id: step.depends_on for step in steps} == {
        "a/go": (),
        "b/go": ("a/go",),
        "b/rollback:undo": (),
    }


def test_a_step_for_people_comes_after_all_that_ends() -> None:
    steps = sequence("", {"a": (), "b": ("a",), "c": ("a",)})
    assert manual_step("cleanup", "cleanup", after=steps).depends_on == ("/b", "/c")
