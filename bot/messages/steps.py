"""The steps of a request on its card, one a line: a bundle's by component.

A card is read at a glance, and Slack takes 50 blocks: a component that is done is one line, and
where the lines are still too many, so are the finished steps of the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.messages.blocks import Block, context, paragraphs, section
from bot.messages.text import duration, escaped, link, moment, one_line
from bot.messages.values import count
from engine import RequestView, StepView

LINES: Final = 40
"""Lines of steps on a card before finished ones are folded, and at most."""

STEP_ICONS: Final[Mapping[str, str]] = {
    "pending": ":white_circle:",
    "running": ":arrow_forward:",
    "verifying": ":mag:",
    "completed": ":white_check_mark:",
    "failed": ":x:",
    "skipped": ":fast_forward:",
    "retrying": ":repeat:",
}
SKIPPED_BECAUSE: Final[Mapping[str, str]] = {
    "condition": "its condition is false",
    "dependency": "a step before it failed",
    "manual": "skipped by hand",
    "aborted": "the request ended before it began",
}
_TELLING: Final = ("failed", "retrying", "verifying", "running", "pending", "skipped", "completed")
"""The states of steps, the one that says most of a component first."""


@dataclass(frozen=True, slots=True)
class Group:
    """The steps of one component of a bundle; of everything else, without a name."""

    component: str | None
    steps: tuple[StepView, ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(is_done(step) for step in self.steps)


def step_blocks(view: RequestView) -> Iterator[Block]:
    """Yield how far the request is, and its steps."""
    if not view.steps:
        return
    yield section(_progress(view.steps))
    groups = _groups(view)
    lines = [line for group in groups for line in _lines(group, fold=False)]
    if len(lines) > LINES:
        lines = [line for group in groups for line in _lines(group, fold=True)]
    yield from paragraphs(lines[:LINES])
    if len(lines) > LINES:
        yield context(f"… and {len(lines) - LINES} more steps: `pao request get` shows them all")


def step_line(step: StepView, component: str | None = None) -> str:
    """Return one step: icon, name as in the document, time taken, attempts, job, trouble."""
    name = step.name.removeprefix(f"{component}/") if component else step.name
    told = [f"{STEP_ICONS.get(step.status, ':grey_question:')} *{escaped(name, 200)}*"]
    told += _timing(step)
    attempt = step.attempts[-1] if step.attempts else None
    if len(step.attempts) > 1:
        told.append(f"attempt {len(step.attempts)}")
    if attempt is not None and attempt.external_job_url:
        told.append(link(attempt.external_job_url, "job"))
    if step.waits_for_take_over:
        told.append("its worker is gone; another will take it over")
    if step.skip_reason:
        told.append(SKIPPED_BECAUSE.get(step.skip_reason, escaped(step.skip_reason, 100)))
    if attempt is not None and attempt.error_message and step.status in {"failed", "retrying"}:
        told.append(escaped(one_line(attempt.error_message), 200))
    return " · ".join(told)


def is_done(step: StepView) -> bool:
    """Say whether nothing is left to do: what a failure or an abort skipped was not done."""
    left_out = step.status == "skipped" and step.skip_reason in {"condition", "manual"}
    return step.status == "completed" or left_out


def _progress(steps: Sequence[StepView]) -> str:
    done = sum(is_done(step) for step in steps)
    filled = 10 * done // len(steps)
    return f"{'▰' * filled}{'▱' * (10 - filled)}  {done} of {count(len(steps), 'step')}"


def _groups(view: RequestView) -> list[Group]:
    """Return the steps by component, in the order of the components; what is of none comes first."""
    groups: dict[str | None, list[StepView]] = {None: [], **{name: [] for name in view.components}}
    for step in view.steps:
        component = step.step_id.split("/", 1)[0] if "/" in step.step_id else None
        groups[component if component in groups else None].append(step)
    return [Group(name, tuple(steps)) for name, steps in groups.items() if steps]


def _lines(group: Group, *, fold: bool) -> Iterator[str]:
    if group.component is not None:
        yield _component_line(group)
        if group.is_done:
            return
    done = [step for step in group.steps if is_done(step)]
    if fold and len(done) > 1:
        yield f"{STEP_ICONS['completed']} {count(len(done), 'step')} done"
    for step in group.steps:
        if not fold or len(done) < 2 or not is_done(step):
            yield ("↳ " if group.component else "") + step_line(step, group.component)


def _component_line(group: Group) -> str:
    states = {step.status for step in group.steps}
    icon = STEP_ICONS["completed"]
    if not group.is_done:
        icon = STEP_ICONS[next((state for state in _TELLING if state in states), "pending")]
    done = sum(is_done(step) for step in group.steps)
    told = f"{icon} *{escaped(str(group.component), 200)}*"
    ends = [step.completed_at for step in group.steps if step.completed_at]
    starts = [step.started_at for step in group.steps if step.started_at]
    if group.is_done and starts and ends:
        taken = duration((max(ends) - min(starts)).total_seconds())
        return f"{told} · {count(len(group.steps), 'step')} · {taken}"
    return f"{told} · {done} of {count(len(group.steps), 'step')}"


def _timing(step: StepView) -> list[str]:
    if step.status == "retrying" and step.next_run_at is not None:
        return [f"next try {moment(step.next_run_at, '{time_secs}')}"]
    if step.status == "pending" and step.next_run_at is not None:
        return [f"not before {moment(step.next_run_at)}"]
    if step.started_at is None:
        return []
    if step.completed_at is None:
        return [f"since {moment(step.started_at, '{time_secs}')}"]
    return [duration((step.completed_at - step.started_at).total_seconds())]
