"""Every verb in every status: it does what it says, or says in words why it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import pytest

from engine import Actor, Conflict, RequestView
from engine.requests.views import STATUSES
from engine.steps.base import Waiting
from tests.support.engines import ADMIN, ALICE
from tests.support.workbench import Workbench, fail, step

CAROL = Actor("U5", "Carol", None, ("dba",), audit_name="U5")
APPROVAL: Final[Mapping[str, Any]] = {"approvers": [{"user": "U5"}]}
LONG: Final = Waiting(3600.0, {})

Verb = Callable[[Workbench, str], Awaitable[Any]]

VERBS: Final[Mapping[str, tuple[Verb, frozenset[str]]]] = {
    "approve": (
        lambda bench, id_: bench.engine.approve(CAROL, id_),
        frozenset({"submitted"}),
    ),
    "reject": (
        lambda bench, id_: bench.engine.reject(CAROL, id_, reason="too dear"),
        frozenset({"submitted"}),
    ),
    "resume": (lambda bench, id_: bench.engine.resume(ADMIN, id_), frozenset({"failed"})),
    "retry": (lambda bench, id_: bench.engine.retry(ADMIN, id_, "a"), frozenset({"failed"})),
    "skip": (
        lambda bench, id_: bench.engine.skip(ADMIN, id_, "a", "not needed"),
        frozenset({"failed"}),
    ),
    "resolve": (lambda bench, id_: bench.engine.resolve(ADMIN, id_, "a"), frozenset({"failed"})),
    "abort": (
        lambda bench, id_: bench.engine.abort(ADMIN, id_),
        frozenset({"in_progress", "failed", "resuming"}),
    ),
    "cancel": (
        lambda bench, id_: bench.engine.cancel(ADMIN, id_),
        frozenset({"submitted", "validating"}),
    ),
    "clone": (lambda bench, id_: bench.engine.clone(ADMIN, id_), frozenset(STATUSES)),
}
"""Each verb, and the statuses in which it does something. What began is aborted, not cancelled."""


async def standing(bench: Workbench, status: str) -> RequestView:
    """A request of one step that was approved, where it got that far, in a status."""
    view = await bench.request(
        [step("a")], pre_execution_checks=["scripted"], columns={"approval": APPROVAL}
    )
    if status == "submitted":
        return view
    if status == "cancelled":
        return await bench.engine.cancel(ALICE, view.request_id)
    view = await bench.engine.approve(CAROL, view.request_id)
    if status == "validating":
        return view
    if status == "resuming":  # a check failed, and is about to run again
        bench.check.script = ["the moon is full"]
        await bench.look_at_gates()
        return await bench.engine.resume(ALICE, view.request_id)
    bench.script["a"] = {"failed": [fail(kind="permanent")], "in_progress": [LONG]}.get(status, [])
    if status == "in_progress":
        async with bench.carrying():
            return await bench.when(view, lambda now: now.steps[0].status == "running")
    if status == "aborted":
        return await bench.engine.abort(ALICE, (await in_progress(bench, view)).request_id)
    return await bench.run(view)


async def in_progress(bench: Workbench, view: RequestView) -> RequestView:
    await bench.look_at_gates()
    return await bench.view(view)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_does_something_or_says_why_not(
    bench: Workbench, name: str, status: str
) -> None:
    verb, allowed = VERBS[name]
    view = await standing(bench, status)
    assert view.status == status
    if status in allowed:
        await verb(bench, view.request_id)
        return
    before = await bench.view(view)
    with pytest.raises(Conflict) as refused:
        await verb(bench, view.request_id)
    assert view.request_id in refused.value.what
    begun = name == "cancel" and status == "in_progress"
    words = "work on it has begun" if begun else f"it is {status.replace('_', ' ')}"
    assert words in (refused.value.why or "")
    assert refused.value.do
    assert await bench.view(view) == before


@pytest.mark.parametrize("name", VERBS)
async def test_what_is_offered_is_what_is_allowed(bench: Workbench, name: str) -> None:
    offers = {"resume": "can_resume", "abort": "can_abort", "cancel": "can_cancel"}
    for status in STATUSES if name in offers else ():
        view = await standing(bench, status)
        assert getattr(view, offers[name]) == (status in VERBS[name][1]), status
