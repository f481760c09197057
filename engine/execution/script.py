"""The script of a rehearsal: what is known of each step, ticket and check before anything ran.

Each is rendered as far as it can be and judged by its type. What needs the outputs of a step that
would run is known when it runs; a step that its `when` leaves out gives none, and that is known.
A rollback's steps are rendered as if they were needed, a ticket's template as if it were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from engine.errors import InvalidInput, PaoError, StepFailed
from engine.execution.outcome import LONGEST_MESSAGE
from engine.execution.run import Surroundings
from engine.execution.scope import RunScope, build_scope
from engine.execution.unknowns import Chain, Rendered, Unknowns
from engine.foreign_json import clean
from engine.redaction import Redactor
from engine.requests.checks import CheckCall, checks_of
from engine.requests.names import shown_names
from engine.requests.subject import COMPONENTS, part_of
from engine.results import ForeseenTemplate
from engine.steps.base import Foreseen
from engine.steps.templates import judge_template
from engine.store.claimed import ClaimedRequest
from engine.store.requests import StepRow
from engine.store.secrets import EncryptedValue
from engine.templates import check_condition
from engine.tickets.registry import TicketRegistry


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request that was planned and of which nothing ran, as its steps would see it.

    `steps` holds those of its rollback, too.
    """

    request: ClaimedRequest
    steps: Sequence[StepRow]
    kept: Mapping[UUID, EncryptedValue]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What is known of a step by now; `template` is None where it is not rendered."""

    row: StepRow
    scope: RunScope | None = None
    runs: bool | None = None
    template: Rendered | None = None
    waits_for: tuple[str, ...] = ()
    plan: Mapping[str, int] | None = None
    problem: str | None = None
    note: str | None = None

    def foreseeing(self, foreseen: Foreseen) -> Rehearsed:
        """Return it with what its type found out."""
        refusal = foreseen.refusal and told(foreseen.refusal)
        return replace(
            self, plan=foreseen.changes, note=foreseen.why_unknown, problem=refusal or self.problem
        )

    @property
    def is_rollback(self) -> bool:
        """Whether it runs only where another step has failed."""
        return self.row.section == "rollback"

    @property
    def redactor(self) -> Redactor:
        """What puts dots for the secrets that the step sees."""
        return _redactor(self.scope)

    def as_json(self) -> dict[str, Any]:
        """Return what people see of it: secrets as dots."""
        redactor = self.redactor
        return {
            "runs": self.runs,
            "template": _shown(self.template, redactor),
            "plan": None if self.plan is None else dict(self.plan),
            "problem": _said(self.problem, redactor),
            "note": _said(self.note, redactor),
            "waits_for": list(self.waits_for),
        }


class Script:
    """The parts of a request, each knowing what became of the steps before it."""

    def __init__(
        self, planned: PlannedRequest, around: Surroundings, systems: TicketRegistry
    ) -> None:
        self._planned = planned
        self._around = around
        self._systems = systems
        self._left_out: set[str] = set()
        self._stages: dict[str | None, _Stage] = {}

    def steps(self) -> list[Rehearsed]:
        """Return the steps in their order, those of a rollback among them."""
        rows = {row.step_id: row for row in self._planned.steps}
        graph = {id_: [d for d in row.depends_on or () if d in rows] for id_, row in rows.items()}
        found = {id_: self._rehearsed(rows[id_]) for id_ in TopologicalSorter(graph).static_order()}
        return [found[id_] for id_ in rows]

    def tickets(self) -> list[ForeseenTemplate]:
        """Return the tickets of people's work, by whose document asks for them; after `steps`."""
        return [self._ticket(*one) for one in _manual_sections(self._planned.request.plan)]

    def checks(self) -> list[ForeseenTemplate]:
        """Return the pre-execution checks that have a template."""
        calls = checks_of(self._planned.request.plan)
        return [self._check(call, call.template) for call in calls if call.template is not None]

    def _rehearsed(self, row: StepRow) -> Rehearsed:
        step = Rehearsed(row)
        try:
            stage = self._stage(row.component)
            step = replace(step, scope=stage.scope)
            return self._rendered(stage, self._decided(stage, step))
        except PaoError as error:
            return replace(step, problem=told(error))

    def _decided(self, stage: _Stage, step: Rehearsed) -> Rehearsed:
        """Decide the step's `when`."""
        when = step.row.step_config.get("when")
        runs: bool | None = when if isinstance(when, bool) else True
        if isinstance(when, str):
            condition = check_condition(when)
            waits = self._unknowns(stage, step.row.component).needed_by(condition)
            runs = None if waits else condition.decide(stage.scope.names)
            step = replace(step, waits_for=waits)
        if runs is False:
            self._left_out.add(step.row.step_id)
        return replace(step, runs=runs)

    def _rendered(self, stage: _Stage, step: Rehearsed) -> Rehearsed:
        """Render and judge the step's template and its verifications."""
        if step.runs is False:
            return step
        unknowns, names = self._unknowns(stage, step.row.component), stage.scope.names
        template = unknowns.render(step.row.step_config.get("template") or {}, names)
        known = tuple(dict.fromkeys((*step.waits_for, *template.waits_for)))
        step = replace(step, template=template, waits_for=known)
        try:
            model = self._around.steps.get(step.row.step_type).template_model
            judge_template(model, template.shown, late=template.late)
            for written in _verifications(step.row):
                self._judge_verification(unknowns.render(written, names))
        except PaoError as error:
            return replace(step, problem=told(error))
        return step

    def _judge_verification(self, rendered: Rendered) -> None:
        name = str(rendered.shown.get("type"))
        model = self._around.verifications.get(name).model
        judge_template(model, rendered.shown, what=f"The verification {name}", late=rendered.late)

    def _ticket(self, component: str | None, manual: Mapping[str, Any]) -> ForeseenTemplate:
        """Render and judge the template of a ticket as if work were asked for by hand."""
        system = str(manual.get("system"))
        try:
            stage = self._stage(component)
            unknowns = self._unknowns(stage, component)
            rendered = unknowns.render(manual.get("template") or {}, stage.scope.names)
        except PaoError as error:
            return self._unrendered(system, component, error)
        found = self._foreseen(system, component, rendered)
        try:
            model = self._systems.get(system).template_model
            judge_template(model, rendered.shown, what="The ticket's template", late=rendered.late)
        except PaoError as error:
            return replace(found, problem=self._problem(component, error))
        return found

    def _check(self, call: CheckCall, written: Mapping[str, Any]) -> ForeseenTemplate:
        """Render the template of a check, which sees no secret (engine/requests/gates.py)."""
        try:
            unknowns = Unknowns(self._stage(call.component).unknown)
            names = shown_names(self._planned.request, call.component)
            rendered = unknowns.render(written, names)
        except PaoError as error:
            return self._unrendered(call.check, call.component, error)
        return self._foreseen(call.check, call.component, rendered)

    def _foreseen(self, name: str, component: str | None, rendered: Rendered) -> ForeseenTemplate:
        shown = _shown(rendered, self._redactor(component))
        return ForeseenTemplate(name, component, shown, waits_for=rendered.waits_for)

    def _unrendered(self, name: str, component: str | None, error: PaoError) -> ForeseenTemplate:
        return ForeseenTemplate(name, component, None, problem=self._problem(component, error))

    def _problem(self, component: str | None, error: PaoError) -> str | None:
        return _said(told(error), self._redactor(component))

    def _redactor(self, component: str | None) -> Redactor:
        stage = self._stages.get(component)
        return _redactor(stage.scope if stage else None)

    def _unknowns(self, stage: _Stage, component: str | None) -> Unknowns:
        """Return what a component cannot see: what its steps would give."""
        prefix = f"{component}/" if component else ""
        steps = (
            ("steps", other.step_id.removeprefix(prefix), "outputs")
            for other in self._planned.steps
            if other.component == component and self._gives(other)
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


def _manual_sections(
    plan: Mapping[str, Any],
) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Yield how the document, and each component that is on, asks for work by hand."""
    on = [name for name, one in (plan.get(COMPONENTS) or {}).items() if one.get("enabled", True)]
    for component in (None, *on):
        manual = (part_of(plan, component).get("fulfillment") or {}).get("manual")
        if manual:
            yield component, manual


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


def told(error: PaoError) -> str:
    """Return an error in a sentence, with what Terraform says of it more closely."""
    where = f"{error.field}: " if isinstance(error, InvalidInput) and error.field else ""
    detail = error.details.get("detail") if isinstance(error, StepFailed) else None
    return f"{where}{error} {detail}" if detail else f"{where}{error}"


def _redactor(scope: RunScope | None) -> Redactor:
    return Redactor(scope.secrets() if scope else ())


def _shown(rendered: Rendered | None, redactor: Redactor) -> Any:
    return None if rendered is None else redactor.json(clean(rendered.shown))


def _said(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else redactor.text(text)[:LONGEST_MESSAGE]
