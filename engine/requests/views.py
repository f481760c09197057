"""Requests as people see them: found by an id that may be shortened, secrets as dots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from engine.catalog.suggest import did_you_mean
from engine.errors import InvalidInput, NotFound, quoted
from engine.people.permissions import Action, Denied, Subject, hidden, may, refusal
from engine.requests import aftermath, labels
from engine.requests.approval_views import approval_views
from engine.requests.parameters import is_reference, references_in, with_dots
from engine.requests.subject import COMPONENTS
from engine.results import (
    Actor,
    AttemptLog,
    AttemptView,
    CheckView,
    Page,
    RequestSummary,
    RequestView,
    StepView,
    TicketView,
)
from engine.store import approvals, gates, requests
from engine.store.paging import read_cursor, write_cursor
from engine.store.pool import Connection
from engine.store.requests import (
    AttemptRow,
    ListedRequest,
    RequestFilter,
    RequestRow,
    StepRow,
    TicketRow,
)

ABORTABLE: Final = frozenset({"in_progress", "failed", "resuming"})
CANCELLABLE: Final = frozenset({"submitted", "validating", "in_progress"})
STATUSES: Final = (
    "submitted",
    "validating",
    "in_progress",
    "completed",
    "failed",
    "cancelled",
    "resuming",
    "aborted",
)
LONGEST_PAGE: Final = 200


async def find(
    connection: Connection, actor: Actor, request_id: str, action: Action = Action.SEE_REQUEST
) -> RequestRow:
    """Return the request that the person means and may act on.

    Raises Denied: with NotFound where it does not exist or may not be seen, with Forbidden where it
    may be seen but not acted on. InvalidInput where a shortened id means several.
    """
    found = [await _row(connection, id_) for id_ in await _candidates(connection, request_id)]
    seen = [row for row in found if may(actor, Action.SEE_REQUEST, subject_of(row))]
    if not seen:
        raise Denied(action, request_id, hidden("Request", request_id))
    if len(seen) > 1:
        ids = ", ".join(row.request_id for row in seen[:5])
        raise InvalidInput(
            f"{request_id} means several requests", f"{ids} begin with it", "Give more of the id"
        )
    if not may(actor, action, subject_of(seen[0])):
        raise Denied(action, seen[0].request_id, refusal(action))
    return seen[0]


async def view(connection: Connection, request_id: UUID) -> RequestView:
    """Return the request whole, without asking who looks."""
    row = await _row(connection, request_id)
    steps = await requests.steps_of(connection, request_id)
    attempts = await requests.attempts_of(connection, request_id)
    tickets = await requests.tickets_of(connection, request_id)
    asked = await approvals.of_request(connection, request_id)
    decisions = await approvals.decisions_of(connection, request_id) if asked else []
    whole = replace(
        _view(row, steps, attempts, tickets),
        approvals=approval_views(asked, decisions),
        checks=[
            CheckView(one.name, one.passed, one.reason, one.checked_at)
            for one in await gates.checks_of(connection, request_id)
        ],
    )
    left = await aftermath.of_request(connection, request_id)
    if left is None:
        return whole
    return replace(
        whole,
        instance_usable=left.instance_usable,
        update_repeatable=left.update_repeatable,
        comparison=left.comparison,
    )


async def page(
    connection: Connection,
    actor: Actor,
    *,
    scope: str = "mine",
    status: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page[RequestSummary]:
    """Return a page of the requests that the person may see, newest first."""
    wanted = _filter(actor, scope, status, min(max(limit, 1), LONGEST_PAGE), cursor)
    found = await requests.list_requests(connection, wanted)
    listed = found[: wanted.limit - 1]
    more = len(found) == wanted.limit
    next_cursor = write_cursor(listed[-1].created_at, listed[-1].id) if more else None
    return Page([summary(row) for row in listed], next_cursor)


async def logs(connection: Connection, request_id: UUID, step: str) -> list[AttemptLog]:
    """Return the log of a step, by its id or name, one text an attempt."""
    steps = await requests.steps_of(connection, request_id)
    known = [row.step_id for row in steps]
    named = next((row for row in steps if step in (row.step_id, row.step_name)), None)
    if named is None:
        raise NotFound(
            f"There is no step {quoted(step)}.{did_you_mean(step, known)}",
            f"the steps are {', '.join(known) or 'none'}",
            code="unknown_step",
        )
    texts: dict[int, list[str]] = defaultdict(list)
    for chunk in await requests.log_lines(connection, request_id, named.step_id):
        texts[chunk.attempt_number].append(chunk.text)
    return [AttemptLog(number, "".join(pieces)) for number, pieces in texts.items()]


async def secret_outputs(connection: Connection, request_id: UUID) -> dict[str, Any]:
    """Return the outputs of a request that hold secrets, as references."""
    outputs = _outputs(await requests.steps_of(connection, request_id))
    return {key: value for key, value in outputs.items() if _has_secret(value)}


async def internal_id(connection: Connection, request_id: str) -> UUID:
    """Return the id of a request by its full external one; NotFound when there is none."""
    found = await requests.matching_ids(connection, request_id)
    if len(found) != 1:
        raise hidden("Request", request_id)
    return found[0]


def subject_of(row: RequestRow) -> Subject:
    """Return what the permission table needs to know of a request."""
    return Subject(
        holder=row.requester_user_id,
        team=row.requester_team,
        document_owner=row.document_owner,
        approver_users=frozenset(row.approver_users),
        approver_teams=frozenset(row.approver_teams),
    )


def declared_outputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the outputs that a step's document declares."""
    return tuple(config.get("outputs") or ())


async def _candidates(connection: Connection, request_id: str) -> Sequence[UUID]:
    return await requests.matching_ids(connection, request_id.strip().lower())


async def _row(connection: Connection, request_id: UUID) -> RequestRow:
    row = await requests.request_row(connection, request_id)
    if row is None:
        raise hidden("Request", str(request_id))
    return row


def _filter(
    actor: Actor, scope: str, status: str | None, limit: int, cursor: str | None
) -> RequestFilter:
    if scope not in ("mine", "team", "all"):
        raise InvalidInput(f"There is no scope {quoted(scope)}", do="Use mine, team or all")
    if status is not None and status not in STATUSES:
        raise InvalidInput(
            f"There is no status {quoted(status)}", do=f"Use one of {', '.join(STATUSES)}"
        )
    whose: dict[str, Any] = {}
    if actor.is_active:
        whose = _whose(actor, scope)
    before = read_cursor(cursor) if cursor else None
    return RequestFilter(**whose, status=status, before=before, limit=limit + 1)


def _whose(actor: Actor, scope: str) -> dict[str, Any]:
    """Return whose requests a scope shows to the person."""
    if scope == "mine":
        return {"user_id": actor.user_id}
    if scope == "team":
        return {"teams": actor.teams}
    if actor.is_admin:
        return {"everything": True}
    return {
        "user_id": actor.user_id,
        "teams": actor.teams,
        "document_owners": actor.teams,
    }


def _view(
    row: RequestRow,
    steps: Sequence[StepRow],
    attempts: Sequence[AttemptRow],
    tickets: Sequence[TicketRow],
) -> RequestView:
    attempts_of: dict[UUID, list[AttemptRow]] = defaultdict(list)
    for attempt in attempts:
        attempts_of[attempt.step_id].append(attempt)
    tickets_of: dict[UUID | None, list[TicketView]] = defaultdict(list)
    for ticket in tickets:
        tickets_of[ticket.step_id].append(_ticket(ticket))
    outputs = _outputs(steps)
    names = labels.parameter_labels(row.plan)
    return RequestView(
        request_id=row.request_id,
        request_type=row.request_type,
        status=row.status,
        title=row.title,
        catalog_item=row.catalog_item,
        catalog_bundle=row.catalog_bundle,
        update_item=row.update_item,
        upgrade_item=row.upgrade_item,
        catalog_version=row.catalog_version,
        parameters=_as_asked(with_dots(row.parameters), names, labels.components(row.plan)),
        requester=row.requester_user_id,
        team=row.requester_team,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        steps=[_step(row, step, attempts_of[step.id], tickets_of[step.id]) for step in steps],
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        outputs=with_dots(outputs) if row.status == "completed" else None,
        tickets=tickets_of[None],
        can_resume=row.status == "failed" and not row.overtaken and not row.gone,
        can_abort=row.status in ABORTABLE,
        can_cancel=row.status in CANCELLABLE and not row.touched,
        reason=_reason(row),
        not_before=row.not_before,
        channel=row.plan.get("document", {}).get("channel"),
        origin_channel=row.origin_channel,
        requester_email=row.requester_email,
        source="slack" if row.source == "slack" else "cli",
        secret_outputs=tuple(key for key, value in outputs.items() if _has_secret(value)),
        parameter_labels=names,
        value_labels=labels.value_labels(row.plan),
        owner=row.document_owner or None,
        components=labels.components(row.plan),
        stands=row.stands,
    )


def _as_asked(
    parameters: Mapping[str, Any], order: Collection[str], components: Sequence[str]
) -> dict[str, Any]:
    """Return the parameters, a bundle's by component too, in the form's order: the database keeps none."""
    asked = _ordered(parameters, order)
    if components and COMPONENTS in asked:
        given = asked[COMPONENTS]
        asked[COMPONENTS] = {
            name: _ordered(given[name], _own(order, f"{name}."))
            for name in _ordered(given, components)
        }
    return asked


def _own(order: Iterable[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in order if name.startswith(prefix)]


def _ordered(values: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
    """Return values in an order; what it does not name comes last."""
    return {name: values[name] for name in order if name in values} | dict(values)


def _reason(row: RequestRow) -> str | None:
    """Return why the request is as it is; of one that failed and cannot go on, why not, too."""
    final = None
    if row.status == "failed" and row.overtaken:
        final = "Another request was made for the instance since; this one cannot be resumed."
    elif row.status == "failed" and row.gone:
        final = f"It cannot be resumed: {'; '.join(row.gone)}."
    return " ".join(filter(None, (row.reason, final))) or None


def _outputs(steps: Sequence[StepRow]) -> dict[str, Any]:
    """Return what the request gave: the outputs of its steps, later ones over earlier ones.

    Of a bundle they stand by component, as on its instance.
    """
    given: dict[str, Any] = {}
    for step in steps:
        if step.section == "automation" and step.status == "completed" and step.outputs:
            place: dict[str, Any] = given
            if step.component is not None:
                place = given.setdefault(step.component, {})
            place |= step.outputs
    return given


def _has_secret(value: Any) -> bool:
    return is_reference(value) or any(True for _ in references_in(value))


def _step(
    request: RequestRow,
    row: StepRow,
    attempts: Sequence[AttemptRow],
    tickets: Sequence[TicketView],
) -> StepView:
    outputs = {} if row.status == "skipped" else row.outputs
    return StepView(
        step_id=row.step_id,
        name=row.step_name,
        type=row.step_type,
        status=row.status,
        depends_on=tuple(row.depends_on or ()),
        started_at=row.started_at,
        completed_at=row.completed_at,
        outputs=None if outputs is None else with_dots(outputs),
        attempts=[_attempt(attempt) for attempt in attempts],
        tickets=tickets,
        next_run_at=_due(request, row),
        skip_reason=row.skip_reason,
        phase=row.phase if row.status in ("running", "verifying") else None,
        declared_outputs=declared_outputs(row.step_config),
        waits_for_take_over=row.is_lost,
    )


def _due(request: RequestRow, row: StepRow) -> datetime | None:
    """Return when a step is due that waits for a time, not only for others."""
    if row.status == "retrying":
        return row.next_run_at
    is_first = row.section == "automation" and not row.depends_on
    return request.not_before if row.status == "pending" and is_first else None


def _attempt(row: AttemptRow) -> AttemptView:
    return AttemptView(
        attempt_number=row.attempt_number,
        status=row.status,
        started_at=row.started_at,
        completed_at=row.completed_at,
        error_type=row.error_type,
        error_message=row.error_message,
        error_details=row.error_details,
        logs_url=row.logs_url,
        external_job_id=row.external_job_id,
        external_job_url=row.external_job_url,
        verification_result=row.verification_result,
        parameters=row.parameters,
    )


def _ticket(row: TicketRow) -> TicketView:
    return TicketView(
        ticket_id=row.ticket_id,
        system=row.system,
        type=row.type,
        status=row.status,
        url=row.url,
        summary=row.summary,
        last_error=row.last_error,
    )


def summary(row: ListedRequest) -> RequestSummary:
    """Return a request as lists show it."""
    return RequestSummary(
        request_id=row.request_id,
        request_type=row.request_type,
        status=row.status,
        title=row.title,
        catalog_name=row.catalog_name,
        catalog_version=row.catalog_version,
        requester=row.requester,
        team=row.team,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        waits_for=row.waits_for,
        stands=row.stands,
        not_before=row.not_before,
    )
