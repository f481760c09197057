"""What a terraform command's failure means: its words for people, and whether to try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from textwrap import shorten
from typing import Final

from engine.errors import Kind, StepFailed
from engine.steps.terraform.log import Problem
from engine.steps.terraform.plan import short_address
from engine.steps.terraform.process import Finished

LOCKED: Final = "state_locked"
LOCK_SUMMARY = "Error acquiring the state lock"
CREATION_LOCK = "Already locked for workspace creation"
"""The pg backend makes one workspace at a time in the whole database, and does not wait."""

PERMANENT = frozenset(
    {
        "Argument or block definition required",
        "Duplicate variable declaration",
        "Extraneous JSON object property",
        "Failed to read variables file",
        "Incorrect attribute value type",
        "Invalid expression",
        "Invalid function argument",
        "Invalid reference",
        "Invalid value for input variable",
        "Invalid value for variable",
        "Missing required argument",
        "Output refers to sensitive values",
        "Reference to undeclared input variable",
        "Reference to undeclared resource",
        "Unsupported Terraform Core version",
        "Unsupported argument",
        "Unsupported attribute",
        "Unsupported block type",
    }
)
"""Summaries that mean that the module or its variables are wrong: the next try would say the same."""

CONDITIONS = frozenset(
    {
        "Module output value precondition failed",
        "Resource postcondition failed",
        "Resource precondition failed",
    }
)
"""Summaries of conditions that the module's author wrote (docs/decisions/terraform-state.md)."""

GIVEN = ("var.", "local.", "each.", "count.", "path.", "terraform.")
"""How names begin that stand for what the request gave; any other is read from the outside."""

TOLD = 400
"""Characters of a problem's detail that stand in the message; the details have all of it."""

KEPT_PROBLEMS = 20
"""Errors that are kept in the details of a failure."""


def failure(phase: str, finished: Finished) -> StepFailed:
    """Return the error of a command that failed, by the last problem that Terraform reported."""
    if finished.exit_code < 0:
        return StepFailed(
            "terraform_killed", f"terraform {phase} was ended by signal {-finished.exit_code}"
        )
    problems = [_shown(problem) for problem in finished.problems]
    last = problems[-1] if problems else Problem(f"it ended with exit code {finished.exit_code}")
    return StepFailed(
        "terraform_failed",
        f"terraform {phase} failed: {_in_words(last)}",
        details={
            "phase": phase,
            "exit_code": finished.exit_code,
            **asdict(last),
            "errors": [asdict(problem) for problem in problems[-KEPT_PROBLEMS:]],
        },
        kind=_kind(problems),
    )


def is_locked(finished: Finished) -> bool:
    """Whether the command gave up because another process holds the state's lock."""
    return any(problem.summary == LOCK_SUMMARY for problem in finished.problems)


def is_another_being_made(finished: Finished) -> bool:
    """Whether the workspace was not made because another one was just being made."""
    return any(CREATION_LOCK in problem.summary for problem in finished.problems)


def _kind(problems: Sequence[Problem]) -> Kind:
    summaries = {problem.summary for problem in problems}
    if summaries & PERMANENT or any(map(_is_settled, problems)):
        return "permanent"
    passing = "Saved plan is stale" in summaries or any(CREATION_LOCK in one for one in summaries)
    return "transient" if passing else "unknown"


def _is_settled(problem: Problem) -> bool:
    """Whether a condition failed by what the request gave, which the next try gives again."""
    return problem.summary in CONDITIONS and all(one.startswith(GIVEN) for one in problem.reads)


def _in_words(problem: Problem) -> str:
    """Return what went wrong, where and why; a failed condition tells only in its detail."""
    where = f" ({problem.address})" if problem.address else ""
    why = shorten(problem.detail, TOLD, placeholder=" …")
    return f"{problem.summary}{where}{f': {why}' if why else ''}"


def _shown(problem: Problem) -> Problem:
    address = problem.address and short_address(problem.address)
    return replace(problem, address=address)
