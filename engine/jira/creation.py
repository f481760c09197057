"""One issue for one key, though answers get lost and Jira's search lags behind.

    search ──found──> it
      │ not found
      ├── nothing was sent before ──> create ──> it
      └── a creation may have arrived: search again after each of WAITS, then create

The key stands on the issue as a label. That a creation is about to leave is remembered before it
leaves, the issue's name as soon as it is known: so a death between the two is a lost answer, and a
death after that needs no search. What is left is an issue that Jira's index does not show for three
minutes: then there are two, which is better than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.errors import StepFailed
from engine.foreign_json import Json
from engine.jira.client import Issue, Jira, NewIssue
from engine.memory import Memory

WAITS: Final = (10.0, 40.0, 120.0)
"""Seconds before each search after a lost answer."""

KEPT: Final = "jira"
"""What is remembered stands under this key: `key` of the issue, or `sent` and `searches`."""


def label_of(key: str) -> str:
    """Return the label that an idempotency key's issue bears."""
    return f"pao-{key}"


async def one_issue(
    jira: Jira, new: NewIssue, memory: Memory, earlier: Sequence[str] = ()
) -> Issue | float:
    """Return the issue that bears the label, or an earlier one, else make it.

    A number: ask again after so many seconds, it is not known yet whether the issue was made.
    Raises StepFailed.
    """
    state = _state(memory)
    if state.get("key"):
        return await jira.issue(str(state["key"]))
    found = await jira.find([new.label, *earlier])
    if found is not None:
        await memory.remember({KEPT: {"key": found.key}})
        return found
    if state.get("sent"):
        searches = int(state.get("searches") or 0) + 1
        if searches < len(WAITS):
            await memory.remember({KEPT: {"sent": True, "searches": searches}})
            return WAITS[searches]
    return await _create(jira, new, memory)


async def _create(jira: Jira, new: NewIssue, memory: Memory) -> Issue | float:
    await memory.remember({KEPT: {"sent": True, "searches": 0}})
    await memory.check_lease()
    try:
        made = await jira.create(new)
    except StepFailed as error:
        if error.kind == "unknown":
            return WAITS[0]
        await memory.remember({KEPT: {}})
        raise
    await memory.remember({KEPT: {"key": made.key}})
    try:
        return await jira.issue(made.key)
    except StepFailed:
        return made  # it is there, whatever it looks like


def _state(memory: Memory) -> Mapping[str, Json]:
    state = memory.external.get(KEPT)
    return state if isinstance(state, Mapping) else {}
