"""Requests: what is handed in, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engine.results.catalog import CatalogDetails
from engine.results.shared import Json, RequestType, Source

Standing = Literal["approval", "scheduled"]
"""`approval`: submitted, and not approved yet. `scheduled`: in_progress, and not before a time to come."""


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
    """Of a dry run: what became known of it.

    runs: whether it runs, None where that is known only then. template: rendered as far as it can be,
    secrets as dots; None where it does not run. plan: {add, change, destroy}, None where nothing looked
    ahead. problem: what makes the step fail. note: why there is no plan though the step could have one.
    waits_for: names that are known when it runs.
    """

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
class ForeseenTemplate:
    """A template that is no step's, as a dry run renders it: of a ticket or of a check.

    `name` is the ticket system's or the check's, `component` whose document has it. `template` and
    `waits_for` are like a step's; `problem` says what is wrong with it.
    """

    name: str
    component: str | None
    template: Json
    problem: str | None = None
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a dry run found beside its steps: what runs after a failure, what people are asked for."""

    rollback: Sequence[StepView]
    """The steps that would run after a failure, each with its `rehearsal`."""
    tickets: Sequence[ForeseenTemplate]
    """The tickets that work by hand would be asked for with."""
    checks: Sequence[ForeseenTemplate]
    """The pre-execution checks that have a template."""


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
    stands: Standing | None = None
    """What its status does not say: it waits for an approval of its own, or for its time."""
    rehearsal: Rehearsal | None = None
    """Of a dry run alone."""


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
    stands: Standing | None = None
    """As in RequestView."""
    not_before: datetime | None = None


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
