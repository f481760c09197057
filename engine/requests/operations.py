"""The order of an update or upgrade: an operation of the catalog, on an instance that it targets.

The form is the operation's own, and asks beside it for what the operation takes from the instance
and the instance lacks (`required_parameters`). It begins with what the instance has: a value that is
not given stays, a secret that is left empty too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from engine.catalog.documents import (
    Target,
    Targets,
    load_fulfillment,
    load_presentation,
    load_targets,
)
from engine.catalog.fields import AnyField, BaseField, SecretField
from engine.catalog.options import source_of
from engine.catalog.suggest import did_you_mean
from engine.catalog.values import Checked, check_values
from engine.catalog.versions import VersionError, parse_version, satisfies
from engine.errors import Conflict, NotFound
from engine.people.permissions import Action
from engine.requests import dependencies, targets
from engine.requests.judging import (
    Form,
    Intake,
    Judged,
    Planned,
    access_of,
    held_document,
    judge_form,
    refuse_removed,
    refuse_stale,
    refuse_unknown_steps,
    steps_of,
)
from engine.requests.parameters import is_reference, surroundings
from engine.requests.plan import header, plan_document, plan_steps
from engine.requests.subject import written_fields
from engine.results import SECRET_DOTS, Actor, Kind, OperationView, Submission
from engine.store import documents, instances
from engine.store.documents import StoredDocument
from engine.store.instances import InstanceRow
from engine.store.pool import Connection

OperationType = Literal["update", "upgrade"]
KINDS: Final[Mapping[OperationType, Kind]] = {"update": "UpdateItem", "upgrade": "UpgradeItem"}
ACTIONS: Final = {"update": Action.UPDATE, "upgrade": Action.UPGRADE}
MORE: Final = "required_parameters"
"""The group of a form that asks for what the instance lacks."""


@dataclass(frozen=True, slots=True)
class OperationOrder:
    """An operation on an instance (judging.Order).

    `item`: what the instance is of. `offered`: the operation as evaluated for the instance, None
    where it does not target it. `taken`: why another request has the instance.
    """

    request_type: OperationType
    document: StoredDocument
    target: InstanceRow
    item: StoredDocument
    offered: OperationView | None
    taken: Conflict | None
    actor: Actor
    known: Sequence[str] = ()
    """Names of the operations that there are for the instance."""
    told: tuple[()] = ()

    @property
    def action(self) -> Action:
        """The right that is needed."""
        return ACTIONS[self.request_type]

    @property
    def heading(self) -> str:
        """The operation's name."""
        return self.document.display_name

    @property
    def version(self) -> str:
        """The operation's version."""
        return self.document.version

    @property
    def targets(self) -> Targets:
        """What the operation says it is for."""
        return load_targets(self.document.targets or {})

    @property
    def aim(self) -> Target | None:
        """The one of its targets that the instance is."""
        names = (self.item.name, self.item.slug)
        version = self.target.catalog_version
        fitting = (
            one
            for one in self.targets.catalog_items
            if one.name in names and satisfies(version, one.version_range)
        )
        return next(fitting, None)

    @property
    def presentation(self) -> Mapping[str, Any]:
        """The form as written, with fields for what the instance lacks."""
        lacking = [*self._lacking()]
        written = self.document.presentation
        if not lacking:
            return written
        if written.get("groups") is not None:
            more = {"name": MORE, "title": "Needed beside", "fields": lacking}
            return {**written, "groups": [*written["groups"], more]}
        return {**written, "fields": [*(written.get("fields") or ()), *lacking]}

    @property
    def fields(self) -> tuple[AnyField, ...]:
        """All fields of the form."""
        return load_presentation(self.presentation).all_fields

    @property
    def to_version(self) -> str | None:
        """The instance's version afterwards; None for an update, which keeps it."""
        if self.request_type == "update":
            return None
        return (self.aim and self.aim.to_version) or self.item.version

    @property
    def needs_confirmation(self) -> bool:
        """Whether the instance's name must be typed."""
        return self.document.destructive or self.document.downtime_required

    def forms(self, submission: Submission) -> tuple[Form]:
        """Return what was given, without secrets that are left empty: those stay as they are."""
        fields = self.fields
        secret = {spec.name for spec in fields if isinstance(spec, SecretField)}
        given = {
            name: value
            for name, value in submission.parameters.items()
            if name not in secret or value not in (None, "")
        }
        return (Form(self.document, fields, given, submission.texts, target=self.target),)

    def refuse(self, intake: Intake, submission: Submission) -> None:
        """Raise where the operation cannot be run on the instance now, with the reason."""
        self.require_eligible()
        refuse_stale(self.document, submission)
        refuse_unknown_steps(steps_of(self.document.fulfillment), intake.step_types)
        targets.confirm(self.target, self.actor, submission, is_needed=self.needs_confirmation)

    def require_eligible(self) -> OperationView:
        """Return the operation as evaluated for the instance.

        Raises NotFound where it does not target the instance, Conflict where it cannot be run now.
        """
        refuse_removed(self.document)
        if self.offered is None:
            raise self._not_for_it()
        if self.taken is not None:
            raise self.taken
        reason = self._reason_against(self.offered)
        if reason is not None:
            raise Conflict(
                f"{self.heading} cannot be run on {self.target.instance_name}",
                reason,
                self._hint(),
                code="not_eligible",
            )
        return self.offered

    async def judge(
        self, connection: Connection, intake: Intake, actor: Actor, submission: Submission
    ) -> Judged:
        """Judge the values over those that the instance has."""
        (form,) = self.forms(submission)
        kept = self._kept_secrets(form)
        whole = replace(
            form,
            fields=[_unbounded(spec) if spec.name in kept else spec for spec in form.fields],
            given={**self.prefilled(), **dict.fromkeys(kept, SECRET_DOTS), **form.given},
        )
        checked = await judge_form(connection, intake, actor, whole)
        values = {name: kept.get(name, value) for name, value in checked.values.items()}
        wanted = await dependencies.judge(connection, actor, (), submission.dependencies)
        return Judged(form.fields, values, checked.errors, wanted={None: wanted})

    def prefilled(self) -> dict[str, Any]:
        """Return the instance's values that the form takes; never a secret."""
        return dict(_taken_over(self.fields, self.target.deployment_parameters, self._check))

    def planned(self, judged: Judged) -> Planned:  # noqa: ARG002 (Order)
        """Return the operation's steps, and what it is for."""
        fulfillment = load_fulfillment(self.document.fulfillment)
        plan = plan_document(self.document) | {
            "presentation": self.presentation,
            "targets": self.document.targets,
            "from_version": self.target.catalog_version,
            "to_version": self.to_version,
            "destructive": self.document.destructive,
            "instance_item": header(self.item),
        }
        return Planned(plan, plan_steps(fulfillment, self.document.fulfillment))

    def _lacking(self) -> Iterator[dict[str, Any]]:
        """Yield fields, as written, for required parameters that the instance does not have."""
        own = {spec.name for spec in load_presentation(self.document.presentation).all_fields}
        written = {one["name"]: one for one in written_fields(self.item.presentation)}
        for name in self.aim.required_parameters if self.aim else ():
            if name in own or self.target.deployment_parameters.get(name) is not None:
                continue
            base = written.get(name, {"name": name, "type": "string"})
            hidden = ("conditional", "readonly", "hidden")
            yield {key: base[key] for key in base if key not in hidden} | {"required": True}

    def _kept_secrets(self, form: Form) -> dict[str, Any]:
        """Return the instance's secrets that nobody gave anew, as references."""
        has = self.target.deployment_parameters
        return {
            spec.name: has[spec.name]
            for spec in form.fields
            if isinstance(spec, SecretField)
            and spec.name not in form.given
            and is_reference(has.get(spec.name))
        }

    def _check(self, spec: BaseField, value: Any) -> Checked:
        alone = spec.model_copy(update={"conditional": None})
        around = surroundings(self.actor, access_of(self.document.access))
        return check_values([alone], {spec.name: value}, around=around)

    def _reason_against(self, offered: OperationView) -> str | None:
        if not offered.eligible:
            return offered.reason or "it is not eligible"
        if self.document.destructive or not self._is_lower():
            return None
        return (
            f"version {self.to_version} is lower than {self.target.catalog_version}, "
            "and the upgrade is not declared destructive"
        )

    def _is_lower(self) -> bool:
        if self.to_version is None:
            return False
        try:
            now = parse_version(self.target.catalog_version)
            return parse_version(self.to_version).key < now.key
        except VersionError:
            return False

    def _not_for_it(self) -> NotFound:
        meant = did_you_mean(self.document.name, self.known)
        return NotFound(
            f"{self.heading} is no {self.request_type} for {self.target.instance_name}.{meant}",
            f"it does not target {self.item.name}",
            self._hint(),
            code="unknown_operation",
        )

    def _hint(self) -> str:
        id_ = self.target.instance_id
        return (
            f"See what can be run: `pao service operations {id_}`, or /pao service {id_} in Slack"
        )


async def find(
    connection: Connection, actor: Actor, submission: Submission, target: InstanceRow | None
) -> OperationOrder:
    """Return the order of the operation that is named, its instance locked."""
    locked = await targets.locked(connection, target)
    kind = cast("OperationType", submission.request_type)
    return await order(connection, actor, kind, submission.item or "", locked)


async def order(
    connection: Connection,
    actor: Actor,
    request_type: OperationType,
    name: str,
    target: InstanceRow,
) -> OperationOrder:
    """Return the order of an operation on an instance as it stands, which nobody need have locked.

    NotFound where there is no such operation, or it is not the person's.
    """
    document = await held_document(connection, actor, KINDS[request_type], name)
    every = await instances.operations(
        connection, target.id, teams=actor.teams, sees_all=actor.is_admin
    )
    offered = [one for one in every if one.operation_type == request_type]
    return OperationOrder(
        request_type,
        document,
        target,
        await documents.document_of_instance(connection, target.id),
        next((one for one in offered if one.operation_name == document.name), None),
        await targets.taken(connection, target),
        actor,
        [one.operation_name for one in offered],
    )


def _taken_over(
    fields: Sequence[BaseField],
    values: Mapping[str, Any],
    check: Callable[[BaseField, Any], Checked],
) -> Iterator[tuple[str, Any]]:
    """Yield the values that the form would take from somebody who typed them."""
    for spec in fields:
        value = values.get(spec.name)
        is_open = not (spec.readonly or spec.hidden or isinstance(spec, SecretField))
        if value is not None and is_open and source_of(spec) is not None:
            yield spec.name, value  # its source is asked when it is submitted
        elif value is not None and is_open and check(spec, value).is_good:
            yield spec.name, value


def _unbounded(spec: BaseField) -> BaseField:
    """Return a secret's field as one that takes what stands for a secret that is kept."""
    return spec.model_copy(update={"min_length": None})
