"""Rehearsal: what a request would do, found out without doing any of it.

    in the transaction that is rolled back    read_plan: the request as its steps would see it
    afterwards, in no transaction             rendering, then Terraform's plans, two at a time

Every step goes as far as it can before anything ran: its `when` is decided, its template and its
verifications are rendered and judged by their types, and a step type that can look ahead
(engine.steps.base.Foresees) says what it would change. What needs the outputs of a step that would
run is "known when it runs"; a step that its `when` leaves out gives none, and that is known.

Nothing is written anywhere but into a folder that is removed: no row, no log, no state. What a
killed process leaves of it is swept away like what attempts leave (engine/execution/leftovers.py).
The id of the request, and of an instance that it would make, are those of a request that was never
made: the real one has others.

Secrets are decrypted for the rendering, as when a step runs, and everything that is given out is
redacted by them.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from engine.errors import InvalidInput, PaoError, StepFailed
from engine.execution.leftovers import rehearsals_folder
from engine.execution.outcome import LONGEST_MESSAGE
from engine.execution.run import Surroundings
from engine.execution.scope import RunScope, build_scope, secret_ids
from engine.execution.step_facts import StepFacts
from engine.execution.unknowns import Chain, Rendered, Unknowns
from engine.foreign_json import clean
from engine.redaction import Redactor
from engine.requests.subject import COMPONENTS, part_of
from engine.requests.tickets import effect_key
from engine.steps.base import Foreseen, Foresees
from engine.steps.templates import judge_template
from engine.store import execution, requests, secrets
from engine.store.execution import ClaimedRequest
from engine.store.pool import Connection
from engine.store.requests import StepRow
from engine.store.secrets import EncryptedValue
from engine.templates import check_condition

AT_A_TIME: Final = 2
"""Looks ahead that a process takes at a time."""

SECONDS: Final = 180.0
"""How long a rehearsal looks ahead where nothing else is said."""


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request that was planned and of which nothing ran, as its steps would see it."""

    request: ClaimedRequest
    steps: Sequence[StepRow]
    kept: Mapping[UUID, EncryptedValue]


async def read_plan(connection: Connection, request_id: UUID) -> PlannedRequest:
    """Read a request in the transaction that wrote it."""
    request = (await execution.requests_of(connection, [request_id]))[request_id]
    steps = await requests.steps_of(connection, request_id)
    return PlannedRequest(request, steps, await secrets.by_id(connection, set(secret_ids(request))))


class Rehearsals:
    """Rehearses requests; one for a process."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def rehearse(
        self, planned: PlannedRequest, seconds: float = SECONDS
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return by step id what would become of each step, for StepView.rehearsal.

        runs: whether it runs, None where that is known only then. template: rendered as far as it
        can be, secrets as dots; None where it does not run. plan: {add, change, destroy}, None
        where nothing looked ahead. problem: what makes the step fail. note: why there is no plan
        though the step could have one. waits_for: names that are known when it runs.
        """
        until = asyncio.get_running_loop().time() + seconds
        rehearsed = _Script(planned, self._around).steps()
        async with asyncio.TaskGroup() as group:
            looks = [
                group.create_task(self._look_ahead(planned.request, one, until))
                for one in rehearsed
            ]
        return {one.row.step_id: one.as_json() for one in (look.result() for look in looks)}

    async def _look_ahead(
        self, request: ClaimedRequest, step: _Rehearsed, until: float
    ) -> _Rehearsed:
        """Let the step's type say what it would change, where the step is wholly known."""
        if step.scope is None or step.template is None or step.problem is not None:
            return step
        step_type = self._around.steps.get(step.row.step_type)
        if not isinstance(step_type, Foresees):
            return step
        if step.template.late:
            return replace(step, note="Its plan is known when what it waits for is known")
        try:
            async with asyncio.timeout_at(until), self._slots:
                return step.foreseeing(await self._foreseen(step_type, request, step))
        except TimeoutError:
            return replace(step, note="Its plan took too long to be waited for")
        except PaoError as error:
            return replace(step, problem=_told(error))

    async def _foreseen(
        self, step_type: Foresees, request: ClaimedRequest, step: _Rehearsed
    ) -> Foreseen:
        folder = _new_folder(self._around.data_dir)
        try:
            return await step_type.foresee(_Context(request, step, folder))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Rehearsed:
    """What is known of a step by now; `template` is None where it is not rendered."""

    row: StepRow
    scope: RunScope | None = None
    runs: bool | None = None
    template: Rendered | None = None
    waits_for: tuple[str, ...] = ()
    plan: Mapping[str, int] | None = None
    problem: str | None = None
    note: str | None = None

    def foreseeing(self, foreseen: Foreseen) -> _Rehearsed:
        """Return it with what its type found out."""
        refusal = foreseen.refusal and _told(foreseen.refusal)
        return replace(
            self, plan=foreseen.changes, note=foreseen.why_unknown, problem=refusal or self.problem
        )

    def as_json(self) -> dict[str, Any]:
        """Return what people see of it: secrets as dots."""
        redactor = Redactor(self.scope.secrets() if self.scope else ())
        shown = None if self.template is None else clean(self.template.shown)
        return {
            "runs": self.runs,
            "template": redactor.json(shown),
            "plan": None if self.plan is None else dict(self.plan),
            "problem": self.problem and redactor.text(self.problem)[:LONGEST_MESSAGE],
            "note": self.note and redactor.text(self.note)[:LONGEST_MESSAGE],
            "waits_for": list(self.waits_for),
        }


class _Script:
    """The steps of a request one after the other, each knowing what became of those before it."""

    def __init__(self, planned: PlannedRequest, around: Surroundings) -> None:
        self._planned = planned
        self._around = around
        self._left_out: set[str] = set()
        self._stages: dict[str | None, _Stage] = {}

    def steps(self) -> list[_Rehearsed]:
        """Return the steps in their order."""
        rows = {row.step_id: row for row in self._planned.steps}
        graph = {id_: [d for d in row.depends_on or () if d in rows] for id_, row in rows.items()}
        found = {id_: self._rehearsed(rows[id_]) for id_ in TopologicalSorter(graph).static_order()}
        return [found[id_] for id_ in rows]

    def _rehearsed(self, row: StepRow) -> _Rehearsed:
        step = _Rehearsed(row)
        try:
            stage = self._stage(row.component)
            step = replace(step, scope=stage.scope)
            return self._rendered(stage, self._decided(stage, step))
        except PaoError as error:
            return replace(step, problem=_told(error))

    def _decided(self, stage: _Stage, step: _Rehearsed) -> _Rehearsed:
        """Decide the step's `when`."""
        when = step.row.step_config.get("when")
        runs: bool | None = when if isinstance(when, bool) else True
        if isinstance(when, str):
            condition = check_condition(when)
            waits = self._unknowns(stage, step.row).needed_by(condition)
            runs = None if waits else condition.decide(stage.scope.names)
            step = replace(step, waits_for=waits)
        if runs is False:
            self._left_out.add(step.row.step_id)
        return replace(step, runs=runs)

    def _rendered(self, stage: _Stage, step: _Rehearsed) -> _Rehearsed:
        """Render and judge the step's template and its verifications."""
        if step.runs is False:
            return step
        unknowns, names = self._unknowns(stage, step.row), stage.scope.names
        template = unknowns.render(step.row.step_config.get("template") or {}, names)
        known = tuple(dict.fromkeys((*step.waits_for, *template.waits_for)))
        step = replace(step, template=template, waits_for=known)
        try:
            model = self._around.steps.get(step.row.step_type).template_model
            judge_template(model, template.shown, late=template.late)
            for written in _verifications(step.row):
                self._judge_verification(unknowns.render(written, names))
        except PaoError as error:
            return replace(step, problem=_told(error))
        return step

    def _judge_verification(self, rendered: Rendered) -> None:
        name = str(rendered.shown.get("type"))
        model = self._around.verifications.get(name).model
        judge_template(model, rendered.shown, what=f"The verification {name}", late=rendered.late)

    def _unknowns(self, stage: _Stage, row: StepRow) -> Unknowns:
        """Return what the step cannot see: what the steps of its component would give."""
        prefix = f"{row.component}/" if row.component else ""
        steps = (
            ("steps", other.step_id.removeprefix(prefix), "outputs")
            for other in self._planned.steps
            if other.component == row.component and self._gives(other)
        )
        return Unknowns({**stage.unknown, **dict.fromkeys(steps, ())})

    def _gives(self, row: StepRow) -> bool:
        """Whether the step would give outputs: what is left out, or destroys, gives none."""
        return row.step_id not in self._left_out and row.step_config.get("destroy") is not True

    def _stage(self, component: str | None) -> _Stage:
        if component not in self._stages:
            self._stages[component] = self._new_stage(component)
        return self._stages[component]

    def _new_stage(self, component: str | None) -> _Stage:
        """Return what the templates of a component see; raises as `build_scope`."""
        request, around = self._planned.request, self._around
        outputs: dict[Chain, tuple[str, ...]] = dict.fromkeys(_components(request), ())
        late = _late_parameters(request, component, Unknowns(outputs))
        listed = tuple(name for names in late.values() for name in names)
        unknown = outputs | {(name,): names for name, names in late.items()}
        if late:
            unknown["parameters",] = tuple(dict.fromkeys(listed))
        scope = build_scope(
            request,
            self._planned.kept,
            around.cipher,
            around.secret_files,
            component=component,
            late=late.keys(),
        )
        return _Stage(scope, unknown)


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the templates of a component's steps see, and what of it has no value yet."""

    scope: RunScope
    unknown: Mapping[Chain, tuple[str, ...]]


@dataclass(slots=True)
class _Context(StepFacts):
    """What a step type sees of the engine when it looks ahead (engine.steps.base.StepContext).

    What it says is dropped, what it remembers goes with it, and it may do nothing outside.
    """

    request: ClaimedRequest
    step: _Rehearsed
    work_dir: Path
    external: Mapping[str, Any] = field(default_factory=dict)
    attempt_number: int = 1
    earlier_idempotency_keys: Sequence[str] = ()

    @property
    def record(self) -> StepRow:
        """The step, as it was planned."""
        return self.step.row

    @property
    def idempotency_key(self) -> str:
        """The key that the first attempt would have."""
        return effect_key(self.request.id, self.step_id, 1)

    @property
    def template(self) -> Mapping[str, Any]:
        """The template, rendered, secrets in clear."""
        return dict(self.step.template.shown) if self.step.template else {}

    async def remember(self, external: Mapping[str, Any]) -> None:
        """Merge into `external`, which nobody keeps."""
        self.external = {**self.external, **external}

    async def check_lease(self) -> None:
        """Raise StepFailed: there is no lease, so nothing may be done."""
        raise StepFailed("only_rehearsed", "A rehearsal does nothing outside", kind="permanent")

    async def log(self, text: str) -> None:
        """Drop it."""

    def redacted(self, text: str) -> str:
        """Return `text` with secrets as dots."""
        return Redactor(self.step.scope.secrets() if self.step.scope else ()).text(text)

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Drop it."""

    async def remember_job(self, job_id: str | None, job_url: str | None) -> None:
        """Drop it."""


def _components(request: ClaimedRequest) -> Iterator[Chain]:
    """Yield what the components of a bundle that is made would give."""
    if request.request_type == "create":
        yield from ((COMPONENTS, name, "outputs") for name in request.members)


def _late_parameters(
    request: ClaimedRequest, component: str | None, outputs: Unknowns
) -> dict[str, tuple[str, ...]]:
    """Return what a bundle fixes for a component by outputs of others, with what each waits for."""
    if component is None:
        return {}
    fixed = part_of(request.plan, component).get("parameters") or {}
    needed = {name: outputs.needed_in(value) for name, value in fixed.items()}
    return {name: names for name, names in needed.items() if names}


def _verifications(row: StepRow) -> Sequence[Mapping[str, Any]]:
    written = row.step_config.get("verification") or ()
    return [written] if isinstance(written, Mapping) else list(written)


def _told(error: PaoError) -> str:
    """Return an error in a sentence, with what Terraform says of it more closely."""
    where = f"{error.field}: " if isinstance(error, InvalidInput) and error.field else ""
    detail = error.details.get("detail") if isinstance(error, StepFailed) else None
    return f"{where}{error} {detail}" if detail else f"{where}{error}"


def _new_folder(data_dir: Path) -> Path:
    """Make a folder, at once: a thread that makes one cannot be cancelled."""
    parent = rehearsals_folder(data_dir)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))
