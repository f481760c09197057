"""A request's progress on a terminal, drawn anew in place; lines on standard error where it is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bot.cli.waiting import waits_for

if TYPE_CHECKING:
    from engine import RequestView, StepView

SIGNS = {
    "pending": ("·", "dim"),
    "running": ("▶", "cyan"),
    "verifying": ("◎", "cyan"),
    "retrying": ("↻", "yellow"),
    "completed": ("✔", "green"),
    "failed": ("✘", "red"),
    "skipped": ("−", "dim"),
}
"""One sign and colour for each step status."""

REDRAWS_PER_SECOND = 4


@contextmanager
def progress() -> Iterator[Callable[[RequestView], None]]:
    """Give the function that shows how a request stands."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    display = _Display()
    with Live(display, console=console, refresh_per_second=REDRAWS_PER_SECOND, transient=True):
        yield display.show


class _Display:
    """What rich draws several times a second, so that durations run."""

    def __init__(self) -> None:
        self._request: RequestView | None = None

    def show(self, request: RequestView) -> None:
        self._request = request

    def __rich__(self) -> Group | Text:
        if self._request is None:
            return Text("Waiting for the engine", style="dim")
        request = self._request
        title = Text.assemble(
            (request.request_id, "bold"), f"  {request.title}  ", (request.status, "cyan")
        )
        steps = Table.grid(padding=(0, 2))
        for step in request.steps:
            sign, style = SIGNS[step.status]
            steps.add_row(
                Text(sign, style),
                Text(step.full_name),
                Text(_said(step), "dim"),
                Text(_seconds(step), "dim"),
            )
        waits = [Text(f"Waiting for {one}", "yellow") for one in waits_for(request)]
        return Group(title, steps, *waits)


class _Lines:
    """One line for each change, for logs and pipes."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def show(self, request: RequestView) -> None:
        self._tell(request.request_id, request.status, f"{request.request_id}: {request.status}")
        for step in request.steps:
            if step.status != "pending":
                said = _said(step)
                self._tell(
                    step.step_id,
                    step.status + said,
                    f"  {step.full_name}: {step.status} {said}".rstrip(),
                )
        for waited in waits_for(request):
            self._tell(waited, waited, f"  waiting for {waited}")

    def _tell(self, key: str, state: str, line: str) -> None:
        if self._seen.get(key) != state:
            self._seen[key] = state
            print(line, file=sys.stderr, flush=True)  # noqa: T201


def _said(step: StepView) -> str:
    """Return what one should know beside the status: the error, the next try, why it was skipped."""
    if step.status == "skipped" and step.skip_reason:
        return f"({step.skip_reason})"
    if step.status in {"failed", "retrying"} and step.attempts:
        last = step.attempts[-1]
        again = f", again at {step.next_run_at.astimezone():%H:%M:%S}" if step.next_run_at else ""
        return f"{last.error_message or last.error_type or ''}{again}"
    return ""


def _seconds(step: StepView) -> str:
    if step.started_at is None:
        return ""
    end = step.completed_at or datetime.now(UTC)
    return f"{max(0.0, (end - step.started_at).total_seconds()):.0f} s"
