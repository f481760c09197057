"""Tickets as records of ServiceNow, by its Table API.

The key stands in `correlation_id`, which is searched before a record is made. ServiceNow's tables
show a record at once, so one search is enough; only a request whose answer was lost may still be
under way, and is given a minute before it is searched for.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import ClassVar, Final
from urllib.parse import quote, urlencode

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.foreign_json import Json, clean, dump_json
from engine.outbound import Outbound, Response, failure_of
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText, read_template
from engine.tickets.base import Ticket, TicketDraft, TicketStatus

COLUMNS: Final = "sys_id,number,state,active"

RESOLVED_STATES: Final = frozenset({"6", "7"})
NEW_STATE: Final = "1"
RESOLVE: Final[Mapping[str, Json]] = {
    "state": "6",
    "close_code": "Solved (Permanently)",
    "close_notes": "Not needed any more.",
}
"""An incident's states, as ServiceNow ships them: 1 new, 6 resolved, 7 closed. Other tables have
their own, so their records are noted and left to people."""

UNDER_WAY: Final = 60.0
"""Seconds in which a request without an answer may still make its record."""

LONGEST_TITLE: Final = 160
"""Characters that `short_description` takes."""


class ServiceNowTemplate(RenderedTemplate):
    """What stands in the record."""

    table: RenderedText = "incident"
    short_description: RenderedText
    description: RenderedText | None = None
    assignment_group: RenderedText | None = None
    urgency: RenderedText | None = None
    impact: RenderedText | None = None
    category: RenderedText | None = None
    fields: dict[str, Json] | None = None


class ServiceNowTickets:
    """The ticket system `servicenow`."""

    name: ClassVar[str] = "servicenow"
    template_model: ClassVar[type[BaseModel]] = ServiceNowTemplate
    can_follow: ClassVar[bool] = True

    def __init__(self, services: StepServices) -> None:
        self._outbound: Outbound = services.outbound
        self._settings = services.tickets

    async def create(self, draft: TicketDraft) -> Ticket:
        """Find the record of the draft's key or make it."""
        template = read_template(ServiceNowTemplate, draft.template)
        found = await self._find(template.table, draft.key)
        if found is None:
            await draft.memory.check_lease()
            found = await self._insert(template.table, _columns(template, draft))
        return self._ticket(template.table, found)

    async def follow(self, ticket: Ticket) -> Ticket:
        """Read the status."""
        query = urlencode({"sysparm_fields": COLUMNS, "sysparm_display_value": "false"})
        record = _record(await self._call("GET", f"{_path(ticket)}?{query}"))
        return self._ticket(str(ticket.external["table"]), record, ticket.template)

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        """Add a work note, and resolve an incident; what is gone or refuses stays as it is."""
        try:
            await self._call("PATCH", _path(ticket), {"work_notes": text})
            if close and ticket.external.get("table") == "incident":
                await self._call("PATCH", _path(ticket), RESOLVE)
        except StepFailed as error:
            # The instance may want other columns before a record is resolved.
            if error.kind != "permanent" or error.error_type in {"not_configured", "http_401"}:
                raise

    async def _find(self, table: str, key: str) -> Mapping[str, Json] | None:
        query = urlencode(
            {
                "sysparm_query": f"correlation_id={key}",
                "sysparm_fields": COLUMNS,
                "sysparm_display_value": "false",
                "sysparm_limit": "1",
            }
        )
        result = _result(await self._call("GET", f"{_table(table)}?{query}"))
        return result[0] if isinstance(result, list) and result else None

    async def _insert(self, table: str, columns: Mapping[str, Json]) -> Mapping[str, Json]:
        try:
            return _record(await self._call("POST", _table(table), columns))
        except StepFailed as error:
            if error.kind == "unknown":
                error.retry_after = max(error.retry_after or 0.0, UNDER_WAY)
            raise

    async def _call(self, method: str, path: str, body: Json = None) -> Response:
        base, credentials = self._connection()
        headers = {"authorization": f"Basic {credentials}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        response = await self._outbound.request(
            method,
            f"{base}/api/now/table/{path}",
            headers=headers,
            body=None if body is None else dump_json(clean(body)).encode(),
            guarded=False,
        )
        if error := failure_of(response):
            raise _refused(error, response, writes=method == "POST")
        return response

    def _connection(self) -> tuple[str, str]:
        settings = self._settings
        values = {
            "SERVICENOW_URL": settings.servicenow_url,
            "SERVICENOW_USER": settings.servicenow_user,
            "SERVICENOW_PASSWORD": settings.servicenow_password,
        }
        missing = [name for name, value in values.items() if not value]
        if missing:
            raise StepFailed(
                "not_configured",
                f"ServiceNow cannot be called, these settings are missing: {', '.join(missing)}",
                kind="permanent",
                do="Set them and restart",
            )
        pair = f"{settings.servicenow_user}:{settings.servicenow_password}".encode()
        return str(settings.servicenow_url).rstrip("/"), base64.b64encode(pair).decode()

    def _ticket(
        self, table: str, record: Mapping[str, Json], template: Mapping[str, Json] | None = None
    ) -> Ticket:
        identity = _text(record, "sys_id")
        state = _text(record, "state")
        base = str(self._settings.servicenow_url).rstrip("/")
        target = quote(f"{table}.do?sys_id={identity}", safe="")
        return Ticket(
            _text(record, "number") or identity,
            f"{base}/nav_to.do?uri={target}",
            _status(state, _text(record, "active")),
            state or None,
            {"table": table, "sys_id": identity},
            template or {},
        )


def _columns(template: ServiceNowTemplate, draft: TicketDraft) -> dict[str, Json]:
    named = {
        "assignment_group": template.assignment_group,
        "urgency": template.urgency,
        "impact": template.impact,
        "category": template.category,
    }
    return {
        **(template.fields or {}),
        **{name: value for name, value in named.items() if value},
        "short_description": draft.summary[:LONGEST_TITLE],
        "description": draft.description,
        "correlation_id": draft.key,
    }


def _table(table: str) -> str:
    return quote(table, safe="")


def _path(ticket: Ticket) -> str:
    where = ticket.external
    return f"{_table(str(where.get('table')))}/{quote(str(where.get('sys_id')), safe='')}"


def _status(state: str, active: str) -> TicketStatus:
    if state in RESOLVED_STATES or active == "false":
        return "resolved"
    return "open" if state in {NEW_STATE, ""} else "in_progress"


def _refused(error: StepFailed, response: Response, *, writes: bool) -> StepFailed:
    """Return the refusal in ServiceNow's words; a gateway's may hide a record that was made."""
    said = _said(response)
    return StepFailed(
        error.error_type,
        f"{error.message}: {said}" if said else error.message,
        details=error.details,
        kind="unknown" if writes and response.status in {502, 504} else error.kind,
        retry_after=error.retry_after,
        do="Check SERVICENOW_USER and SERVICENOW_PASSWORD" if response.status in {401, 403} else "",
    )


def _said(response: Response) -> str:
    try:
        error = response.json()["error"]
        return "; ".join(str(error[part]) for part in ("message", "detail") if error.get(part))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _record(response: Response) -> Mapping[str, Json]:
    record = _result(response)
    if not isinstance(record, Mapping) or not _text(record, "sys_id"):
        raise _unreadable()
    return record


def _result(response: Response) -> Json:
    try:
        answer = response.json()
    except ValueError as error:
        # An instance that sleeps answers a page of its own.
        raise _unreadable() from error
    if not isinstance(answer, Mapping) or "result" not in answer:
        raise _unreadable()
    return answer["result"]


def _unreadable() -> StepFailed:
    return StepFailed("invalid_answer", "ServiceNow answered with something else than records")


def _text(record: Mapping[str, Json], name: str) -> str:
    value = record.get(name)
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
