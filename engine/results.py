"""What the engine's verbs take and give: the public types of the façade. JSON-ready, secrets as dots.

`as_json` in engine/__init__ turns any of them into the JSON of the command line's contract: the field names are
the JSON keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from engine.catalog.fields import AnyField, Condition

Json = Any
T = TypeVar("T")
Kind = Literal["CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem"]
Source = Literal["slack", "cli"]
RequestType = Literal["create", "update", "upgrade", "decommission"]

SECRET_DOTS = "••••••••"
"""What stands wherever a secret would be shown."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person with the teams and rights of this moment."""

    user_id: str
    name: str
    email: str | None = None
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    is_active: bool = True
    time_zone: str | None = None
    source: Source = "cli"
    audit_name: str = ""
    """As the audit log names the actor: "U1", "cli:login", "cli:login as U1"."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A document as lists show it."""

    kind: Kind
    name: str
    slug: str
    display_name: str
    version: str
    category: str | None
    owner: str
    tags: tuple[str, ...]
    description: str | None
    lifecycle: str
    icon: str | None = None
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class ComponentOutline:
    """A component of a bundle as its document names it, and whether it may be left out."""

    name: str
    catalog_item: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class CatalogDetails:
    """One document whole: its sections as written, and the bundles it belongs to."""

    entry: CatalogEntry
    presentation: Mapping[str, Json]
    fulfillment: Mapping[str, Json] | None
    bundle: Mapping[str, Json] | None
    targets: Mapping[str, Json] | None
    dependencies: Sequence[Mapping[str, Json]]
    access: Mapping[str, Json] | None
    approval: Mapping[str, Json] | None
    channel: str | None
    bundles: Sequence[Mapping[str, Json]]
    """[{name, version, is_required, version_constraint}] of active bundles that contain the item."""
    commit: str | None
    content_hash: str
    """Hash of the document that a form is drawn from; Submission.content_hash carries it back."""
    path: str | None = None

    @property
    def components(self) -> Sequence[ComponentOutline]:
        """What a bundle is made of, required components first; empty for every other kind."""
        bundle = self.bundle or {}
        return [
            ComponentOutline(
                one.get("name") or one["catalog_item"], one["catalog_item"], key == "required_items"
            )
            for key in ("required_items", "optional_items")
            for one in bundle.get(key) or ()
        ]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class TicketView:
    """A manual ticket in the outside system that it was made in."""

    ticket_id: str | None
    """None while the ticket is being created (status "creating")."""
    system: str
    type: str
    status: str
    url: str | None = None
    summary: str | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One execution of a step, with what it met."""

    attempt_number: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    error_type: str | None = None
    error_message: str | None = None
    error_details: Json = None
    logs_url: str | None = None
    external_job_id: str | None = None
    external_job_url: str | None = None
    verification_result: Json = None
    parameters: Json = None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a request, with its attempts and its ticket."""

    step_id: str
    name: str
    type: str
    status: str
    depends_on: tuple[str, ...]
    started_at: datetime | None
    completed_at: datetime | None
    outputs: Mapping[str, Json] | None
    attempts: Sequence[AttemptView]
    tickets: Sequence[TicketView]
    next_run_at: datetime | None = None
    skip_reason: str | None = None
    phase: str | None = None
    declared_outputs: tuple[str, ...] = ()
    """Outputs that `resolve` must be given."""
    waits_for_take_over: bool = False
    """Whether the worker that ran it is gone, and no other has taken it over yet."""
    rehearsal: Mapping[str, Json] | None = None
    """Of a dry run: {runs, template, plan, problem, note, waits_for} (engine/execution/rehearsal.py)."""

    @property
    def full_name(self) -> str:
        """The name that tells it from the others: in a bundle it is unique in a component only."""
        return self.step_id if "/" in self.step_id else self.name


@dataclass(frozen=True, slots=True)
class Decision:
    """What one approver decided; `approver` is a user id, `name` what people call them."""

    approver: str
    name: str
    decision: Literal["approved", "rejected"]
    reason: str | None
    decided_at: datetime
    source: Source = "slack"
    acted_as: str = ""
    """As the audit log names who acted: an approval given with `--as` says so ("cli:login as U1")."""


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One approval that a request waits for, or waited for: the document's own, or a step's."""

    step: str | None
    """Id of the approval step; None: the document's own approval."""
    status: Literal["waiting", "approved", "rejected", "expired", "withdrawn"]
    approvers: Sequence[Mapping[str, str]]
    """The rules as written: [{user: U1} | {usergroup: dba} | {team: platform}]."""
    needed: int
    decisions: Sequence[Decision]
    expires_at: datetime | None = None
    message: str | None = None
    fields: Sequence[Mapping[str, Json]] = ()
    """Fields that an approver of a step fills, as written in the document."""
    component: str | None = None
    """The component of a bundle whose document asks."""

    @property
    def given(self) -> int:
        """How many have approved."""
        return sum(one.decision == "approved" for one in self.decisions)


@dataclass(frozen=True, slots=True)
class CheckView:
    """A pre-execution check that ran."""

    check: str
    passed: bool
    reason: str | None
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request whole. Exactly one of the four document names is set (none for a decommission)."""

    request_id: str
    request_type: str
    status: str
    title: str
    catalog_item: str | None
    catalog_bundle: str | None
    update_item: str | None
    upgrade_item: str | None
    catalog_version: str
    parameters: Mapping[str, Json]
    requester: str
    team: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    steps: Sequence[StepView]
    instance_id: str | None
    instance_name: str | None
    outputs: Mapping[str, Json] | None
    tickets: Sequence[TicketView]
    """Tickets of the request itself (manual-only fulfilment, cleanup, completion)."""
    can_resume: bool
    can_abort: bool
    can_cancel: bool
    reason: str | None = None
    not_before: datetime | None = None
    channel: str | None = None
    """The channel that the document or its category names for its cards."""
    origin_channel: str | None = None
    requester_email: str | None = None
    source: Source = "cli"
    secret_outputs: tuple[str, ...] = ()
    parameter_labels: Mapping[str, str] = field(default_factory=dict)
    """What the form called the parameters, in its order."""
    value_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What the form called the options of its selections: {parameter: {value as text: label}}."""
    owner: str | None = None
    """The team that owns the document."""
    approvals: Sequence[ApprovalView] = ()
    checks: Sequence[CheckView] = ()
    instance_usable: bool | None = None
    """After a failed update or upgrade: whether the service can be used; None elsewhere."""
    update_repeatable: bool | None = None
    """After a failed update or upgrade: whether it is worth repeating."""
    comparison: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """After a failed update or upgrade: {parameter or "version": {asked, actual}} where they differ."""
    components: Sequence[str] = ()
    """Names of a bundle's components, in their order."""
    timed_out: bool = False
    """Set by `drive` alone: the waiting ended, not the request."""


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A request as lists show it."""

    request_id: str
    request_type: str
    status: str
    title: str
    catalog_name: str | None
    catalog_version: str
    requester: str
    team: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    instance_id: str | None
    instance_name: str | None
    waits_for: str | None = None
    """In the list of what waits for somebody: approval, ticket or failure."""


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """What an attempt of a step said, redacted."""

    attempt_number: int
    text: str
    url: str | None = None
    """A page with the same, by a link signed for the person who asked; None where there is no PUBLIC_URL."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class AttemptLogPage:
    """An attempt and what it said, redacted: the end of it, where it is long."""

    request_id: str
    title: str
    step_id: str
    step_name: str
    attempt_number: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    error_message: str | None
    text: str
    left_out: int
    """Characters before `text` that are not shown."""


@dataclass(frozen=True, slots=True)
class DependencyView:
    """One end of a dependency, seen from the other."""

    relationship: Literal["provider", "dependent"]
    instance_id: str
    instance_name: str
    instance_state: str
    dependency_type: str
    dependency_name: str | None
    is_required: bool


@dataclass(frozen=True, slots=True)
class MemberView:
    """One end of a bundle's membership, seen from the other."""

    instance_id: str
    instance_name: str
    instance_state: str
    catalog_item: str
    catalog_version: str
    component_name: str | None
    member_role: str | None
    is_required: bool


@dataclass(frozen=True, slots=True)
class InstanceView:
    """A deployed service whole."""

    instance_id: str
    instance_name: str
    instance_state: str
    catalog_item: str | None
    catalog_bundle: str | None
    catalog_version: str
    owner_user_id: str
    owner_team: str
    owner_email: str | None
    deployment_parameters: Mapping[str, Json]
    deployed_resources: Sequence[Mapping[str, Json]]
    service_outputs: Mapping[str, Json]
    created_at: datetime
    updated_at: datetime
    provisioned_at: datetime | None
    decommissioned_at: datetime | None
    dependencies: Sequence[DependencyView] = ()
    creation_request_id: str | None = None
    open_requests: Sequence[str] = ()
    secret_outputs: tuple[str, ...] = ()
    members: Sequence[MemberView] = ()
    """What a bundle consists of."""
    bundles: Sequence[MemberView] = ()
    """The bundles that this instance is a member of; `instance_id` is the bundle's."""
    failed_request_id: str | None = None
    """The update or upgrade that failed, where it was the last that happened; the next three are of it."""
    instance_usable: bool | None = None
    update_repeatable: bool | None = None
    comparison: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstanceSummary:
    """A deployed service as lists show it."""

    instance_id: str
    instance_name: str
    instance_state: str
    catalog_name: str
    catalog_version: str
    owner_user_id: str
    owner_team: str
    created_at: datetime
    updated_at: datetime
    operations_due: Sequence[str] = ()
    """Names of the updates and upgrades that are eligible now."""


@dataclass(frozen=True, slots=True)
class DecommissionCheck:
    """Whether an instance may be decommissioned now."""

    can_decommission: bool
    reason: str | None
    blocking_instances: Sequence[Mapping[str, Json]]
    """[{instance_id, instance_name, instance_state, dependency_type, owner_user_id, owner_team, needs}]; `needs`
    is the external id of the instance (this one or a member of the bundle) that is needed."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """How one update or upgrade of an instance ended; `upgrade_request_id` is an external id."""

    from_version: str | None
    to_version: str
    upgrade_type: str
    upgrade_request_id: str | None
    upgrade_item_name: str | None
    upgraded_at: datetime
    upgrade_duration_seconds: int | None
    upgrade_status: str
    rollback_available: bool
    upgrade_notes: str | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to an instance: an event of it or of a request about it."""

    kind: str
    at: datetime
    data: Mapping[str, Json]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log: who did what to what; `outcome` is done, denied or failed."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str | None
    outcome: str
    before: Json
    after: Json
    reason: str | None


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """What a rotation did: secrets now under `key_id`, and those whose own key is not set."""

    key_id: str
    rotated: int
    unreadable: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OperationView:
    """An update or upgrade as seen from an instance; `reason` says why it is not eligible."""

    operation_type: str
    operation_name: str
    operation_version: str
    description: str | None
    destructive: bool
    downtime_required: bool
    estimated_duration: str | None
    eligible: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class OperationForm:
    """What a form of an update or upgrade shows; `values` are prefilled, secrets left out."""

    instance: InstanceView
    operation: OperationView
    details: CatalogDetails
    values: Mapping[str, Json]
    prerequisites: Sequence[str] = ()
    notes: str | None = None
    to_version: str | None = None

    @property
    def needs_confirmation(self) -> bool:
        """Whether the instance's name must be typed."""
        return self.operation.destructive or self.operation.downtime_required


@dataclass(frozen=True, slots=True)
class ComponentForm:
    """What a form asks of one component of a bundle."""

    name: str
    """What the rest of the bundle calls it."""
    display_name: str
    required: bool
    enabled: bool
    """Whether it is ordered before anybody chooses; an optional one may be left out."""
    enabled_when: Condition | None
    """Over the bundle's fields, where it is no choice."""
    role: str | None
    fields: tuple[AnyField, ...]
    """The item's fields without the fixed ones."""
    fixed: Mapping[str, Json]
    """What the bundle gives and nobody is asked: as far as it is known, else templates as written."""
    details: CatalogDetails
    version: str
    provided: Mapping[str, str] = field(default_factory=dict)
    """Dependencies of the item that another component provides: {dependency: component}."""
    late: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Fixed ones that only the running request knows: {name: components that they come from}."""


@dataclass(frozen=True, slots=True)
class Clone:
    """What an earlier request asked for, to fill a new form with; secrets and what went away left out."""

    request_id: str
    document: CatalogDetails
    parameters: Mapping[str, Json]
    team: str | None
    dependencies: Mapping[str, str]
    components: Mapping[str, Mapping[str, Json]]
    instance: str | None = None
    """The instance that a day-2 request was about."""
    dropped: tuple[str, ...] = ()
    """Names of parameters that the document does not have any more."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, as consumers read it. `request_id`, `step_id` and `instance_id` are external ids."""

    id: int
    kind: str
    at: datetime
    data: Mapping[str, Json]
    request_id: str | None = None
    step_id: str | None = None
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. `status`: completed (also with errors in single files), failed, unchanged."""

    status: str
    commit: str | None
    previous_commit: str | None
    counts: Mapping[str, Mapping[str, int]]
    """{items|bundles|updates|upgrades: {added, updated, removed}}"""
    unchanged: int
    errors: Sequence[Mapping[str, Json]]
    warnings: Sequence[Mapping[str, Json]]
    error_message: str | None = None
    error_code: str | None = None
    duration_ms: int = 0
    changes: Sequence[Mapping[str, Json]] = ()
    """[{kind, name, change: added|updated|removed, from_version, to_version}]"""
    repository_url: str | None = None
    """Of a sync that found something new."""
    compare_url: str | None = None
    """Where the repository's host shows what changed since the previous commit."""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What a sync did to one document; `change` is added, updated or removed."""

    title: str
    kind: str
    name: str
    change: str
    from_version: str | None
    to_version: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """What a form or a command hands in.

    A create names an item or a bundle. An update or upgrade names the operation as `item` and the
    instance; a decommission names the instance alone.

    `parameters` are raw values: Python values from a form, or text from `--param` where `texts` is true.
    `dependencies` maps a dependency's semantic name to an instance's external id.
    """

    parameters: Mapping[str, Json]
    item: str | None = None
    bundle: str | None = None
    instance_name: str | None = None
    team: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    components: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    """Names of parameters that are command-line text, still to be parsed by their field's type."""
    content_hash: str | None = None
    idempotency_key: str | None = None
    origin_channel: str | None = None
    at: datetime | None = None
    dry_run: bool = False
    dry_run_seconds: float | None = None
    """How long a dry run looks ahead at most; None: as long as that is usually good for."""
    request_type: RequestType = "create"
    instance: str | None = None
    """External id of the instance that a day-2 request is about; may be shortened."""
    confirmation: str | None = None
    """The instance's name, typed: needed for a decommission and for what destroys or stops it."""
