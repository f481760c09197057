"""The order to take an instance down; a bundle's with its members, those that need others first.

The plan is the document's `decommission` section. Where it has none: Terraform destroys what its
steps made, in reverse order and each at the commit that made it, and one ticket asks for the rest.
Nothing is asked for where nothing else had an effect outside.

The instance and a bundle's members are locked, in the order of their ids, before
can_decommission_instance is asked in a statement of its own: a dependency that is added meanwhile
waits for this transaction, and finds an instance on its way out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, count
from typing import Any, Final, Literal
from uuid import UUID

from engine.catalog.bundles import component_graph
from engine.catalog.documents import load_bundle, load_fulfillment
from engine.catalog.steps import BaseStep, find_cycle
from engine.catalog.values import FieldError
from engine.errors import Conflict, InvalidInput
from engine.people.permissions import Action
from engine.requests import dependencies, targets
from engine.requests.judging import Form, Intake, Judged, Planned, refuse_unknown_steps
from engine.requests.plan import automation_steps, joined, manual_step, plan_document, plan_part
from engine.requests.subject import field_names, target_parameters
from engine.results import Actor, DecommissionCheck, Submission
from engine.store import documents, instances
from engine.store import submission as store
from engine.store.documents import StoredDocument
from engine.store.instances import InstanceRow
from engine.store.pool import Connection
from engine.store.submission import BegunStep, Member, PlannedStep

TERRAFORM: Final = "TerraformFile"
WITHOUT_EFFECT: Final = frozenset({"HttpGet", "approval"})
"""Types of steps that leave nothing outside to be cleaned up."""

_KEPT: Final = ("name", "type", "template", "timeout", "retry_policy")
"""What a destroy takes over from the step that made it. Its `when`, say, may be false by now."""


@dataclass(frozen=True, slots=True)
class Going:
    """One instance that goes: its document, and the steps that ever began on it."""

    id: UUID
    document: StoredDocument
    begun: Sequence[BegunStep]
    was_provisioned: bool
    component: str | None = None

    @property
    def is_default(self) -> bool:
        """Whether its document says nothing of its end."""
        return not self.document.fulfillment.get("decommission")


@dataclass(frozen=True, slots=True)
class DecommissionOrder:
    """The end of an instance (judging.Order)."""

    document: StoredDocument
    target: InstanceRow
    going: Going
    members: Mapping[str, Going]
    """A bundle's living members by component."""
    before: Mapping[str, Sequence[str]]
    """For each component those that go before it: they need it."""
    check: DecommissionCheck
    taken: Conflict | None
    actor: Actor
    roles: Mapping[str, Member]
    request_type: Literal["decommission"] = "decommission"
    action: Literal[Action.DECOMMISSION] = Action.DECOMMISSION
    heading: str = "Decommission"

    @property
    def version(self) -> str:
        """The instance's version."""
        return self.target.catalog_version

    @property
    def told(self) -> tuple[tuple[str, Mapping[str, Any]]]:
        """What the check said."""
        return (("decommission.checked", asdict(self.check)),)

    def forms(self, submission: Submission) -> tuple[Form]:
        """Return an empty form: nothing is asked."""
        return (Form(self.document, (), submission.parameters, submission.texts),)

    def refuse(self, intake: Intake, submission: Submission) -> None:
        """Raise where the instance cannot go, because of whom, or its name was not typed."""
        if self.taken is not None:
            raise self.taken
        if not self.check.can_decommission:
            raise blocked(self.target, self.check)
        targets.confirm(self.target, self.actor, submission, is_needed=True)
        for one in (self.going, *self.members.values()):
            refuse_unknown_steps(_written_steps(one), intake.step_types)

    async def judge(
        self,
        connection: Connection,
        intake: Intake,  # noqa: ARG002 (Order)
        actor: Actor,
        submission: Submission,
    ) -> Judged:
        """Refuse parameters and dependencies: a decommission has none."""
        wanted = await dependencies.judge(connection, actor, (), submission.dependencies)
        return Judged(errors=tuple(_no_parameters(submission)), wanted={None: wanted})

    def planned(self, judged: Judged) -> Planned:  # noqa: ARG002 (Order)
        """Return the steps of all that goes."""
        own, own_steps = _taken_down(self.going)
        parts = {key: _taken_down(one) for key, one in self.members.items()}
        plan = plan_document(self.document) | {
            "fulfillment": own,
            "decommission": True,
            "default": self.going.is_default,
            "names": _names(self.going),
        }
        if self.members:
            plan["components"] = {key: self._part(key, parts[key][0]) for key in self.members}
        sequences = {key: steps for key, (_, steps) in parts.items()} | {"": own_steps}
        return Planned(plan, joined(sequences, {**self.before, "": tuple(self.members)}))

    def _part(self, key: str, fulfillment: Mapping[str, Any]) -> dict[str, Any]:
        one, member = self.members[key], self.roles[key]
        return plan_part(one.document) | {
            "fulfillment": fulfillment,
            "approval": one.document.approval,
            "catalog_item_id": str(one.document.id),
            "role": member.role,
            "required": member.is_required,
            "enabled": True,
            "default": one.is_default,
            "names": _names(one),
            "parameters": {},
            "depends_on": self.before.get(key, ()),
            "dependencies": [],
            "instance": str(one.id),
        }


async def find(
    connection: Connection, actor: Actor, submission: Submission, target: InstanceRow | None
) -> DecommissionOrder:
    """Return the order of the instance's end, with all that goes locked and the check's answer."""
    locked = await targets.locked(connection, target, members=True)
    if submission.item or submission.bundle:
        raise InvalidInput("A decommission names the instance alone", field="item")
    document = await documents.document_of_instance(connection, locked.id)
    members = await store.members(connection, locked.id)
    items = {
        one.id: one
        for one in await documents.documents(connection, [member.document_id for member in members])
    }
    begun = defaultdict(list)
    for step in await store.steps_begun(connection, [locked.id, *(one.id for one in members)]):
        begun[step.instance].append(step)
    own = Going(locked.id, document, begun[locked.id], locked.provisioned_at is not None)
    return DecommissionOrder(
        document,
        locked,
        own,
        {
            one.component: Going(
                one.id,
                items[one.document_id],
                begun[one.id],
                one.was_provisioned,
                one.component,
            )
            for one in members
        },
        _order(document, members),
        # A statement of its own, after the locks: it sees what was committed before them.
        await instances.can_decommission(connection, locked.id),
        await targets.taken(connection, locked),
        actor,
        {one.component: one for one in members},
    )


def blocked(target: InstanceRow, check: DecommissionCheck) -> Conflict:
    """Return the error for an instance that may not go; `details` say because of whom."""
    who = [
        f"{one['instance_name']} ({one['instance_id']}, {one['owner_team']})"
        for one in check.blocking_instances
    ]
    why = check.reason or "something needs it"
    return Conflict(
        f"{target.instance_name} ({target.instance_id}) cannot be decommissioned",
        f"{why}: {', '.join(who)}" if who else why,
        "Ask their owners to let them go first" if who else "Try again when that has changed",
        code="blocked",
        details={"blocking_instances": list(check.blocking_instances)},
    )


def _order(document: StoredDocument, members: Sequence[Member]) -> dict[str, tuple[str, ...]]:
    """Return for each component those that go before it: what is needed goes last.

    By the dependencies that there are, and by the bundle's own order where both agree.
    """
    names = {member.id: member.component for member in members}
    needed = [
        (names[provider], member.component)
        for member in members
        for provider in member.providers
        if provider in names
    ]
    graph = component_graph(load_bundle(document.bundle)) if document.bundle else {}
    written = [(first, key) for key, waits in graph.items() for first in waits]
    known = set(names.values())
    both = _edges([*needed, *(edge for edge in written if known.issuperset(edge))])
    return _edges(needed) if find_cycle(both) else both


def _edges(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    before: defaultdict[str, list[str]] = defaultdict(list)
    for provider, dependent in dict.fromkeys(pairs):
        before[provider].append(dependent)
    return {name: tuple(others) for name, others in before.items()}


def _taken_down(one: Going) -> tuple[dict[str, Any], tuple[PlannedStep, ...]]:
    """Return the fulfillment of an instance's end, and its steps."""
    written = one.document.fulfillment
    if one.is_default:
        steps = (*_destroys(one), *_cleanup(one))
        return ({"manual": written.get("manual")} if steps else {}), steps
    section = written["decommission"]
    fulfillment = {"manual": section.get("manual") or written["manual"]}
    if not section.get("automation"):
        waits = one.component is not None
        return fulfillment, _manual(one) if waits else ()
    model = load_fulfillment(written).decommission
    assert model is not None and model.automation is not None  # noqa: S101, PT018
    steps = automation_steps(model.automation, section["automation"], component=one.component)
    return fulfillment | {"automation": section["automation"]}, tuple(map(_destroying, steps))


def _manual(one: Going) -> tuple[PlannedStep, ...]:
    return (manual_step("manual", "fulfillment", component=one.component),)


def _destroying(step: PlannedStep) -> PlannedStep:
    """Return a step of a `decommission` section: Terraform destroys there."""
    if step.step_type != TERRAFORM:
        return step
    return replace(step, step_config={**step.step_config, "destroy": True})


def _destroys(one: Going) -> tuple[PlannedStep, ...]:
    """Return a destroy for each Terraform state, the last made first, one after the other."""
    states: dict[str, BegunStep] = {}
    for step in one.begun:
        if step.step_type == TERRAFORM:
            states[_state(step) or step.step_name] = step
    planned: list[PlannedStep] = []
    taken = {step.step_name for step in states.values() if not _state(step)}
    for step in reversed(states.values()):
        name = step.step_name
        if _state(step):
            name = _free(name, taken)
            taken.add(name)
        prefix = f"{one.component}/" if one.component else ""
        planned.append(
            PlannedStep(
                step_id=f"{prefix}{name}",
                step_name=name,
                step_type=TERRAFORM,
                step_config={
                    **{key: step.step_config[key] for key in _KEPT if key in step.step_config},
                    "destroy": True,
                    "commit": step.catalog_commit,
                },
                position=len(planned),
                depends_on=(planned[-1].step_id,) if planned else (),
                component=one.component,
            )
        )
    return tuple(planned)


def _names(one: Going) -> list[str]:
    """Return the names that the templates of all that was ever done to an instance could read.

    Those that it has no value for are None to what destroys it, as they were to what made it.
    """
    names: dict[str, None] = {}
    for step in one.begun:
        names |= dict.fromkeys(field_names(step.presentation))
        names |= dict.fromkeys(target_parameters(step.targets))
    return list(names)


def _state(step: BegunStep) -> str | None:
    """Return the state that a Terraform step names; None where that is its own name."""
    state: str | None = (step.step_config.get("template") or {}).get("state")
    return state


def _free(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}-{number}" for number in count(2))
    return next(one for one in chain((name,), numbered) if one not in taken)


def _cleanup(one: Going) -> tuple[PlannedStep, ...]:
    """Return the step that waits for people, where they made something or others did outside."""
    by_others = any(
        step.by_hand or step.step_type not in {TERRAFORM, *WITHOUT_EFFECT} for step in one.begun
    )
    all_by_hand = one.was_provisioned and not one.begun
    if not one.document.fulfillment.get("manual") or not (by_others or all_by_hand):
        return ()
    after = _destroys(one)
    return (manual_step("cleanup", "cleanup", component=one.component, after=after),)


def _written_steps(one: Going) -> Sequence[BaseStep]:
    """Return the steps of a document's `decommission` section."""
    if one.is_default:
        return ()
    section = load_fulfillment(one.document.fulfillment).decommission
    return section.automation.steps if section and section.automation else ()


def _no_parameters(submission: Submission) -> Iterator[FieldError]:
    for name in submission.parameters:
        yield FieldError(name, "A decommission has no parameters.", "unknown_parameter")
