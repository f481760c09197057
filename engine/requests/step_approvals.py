"""The desk where steps of type `approval` ask, on the database (engine/steps/approval.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from engine.catalog.documents import load_presentation
from engine.catalog.fields import BaseField, SecretField
from engine.errors import Conflict, StepFailed
from engine.requests import approvals as rules
from engine.requests.approvals import Rule, Teams
from engine.requests.parameters import in_clear, references_in
from engine.secrets import Cipher
from engine.steps.approval import ApprovalTemplate, Standing
from engine.steps.base import StepContext
from engine.store import approvals, requests
from engine.store import secrets as stored_secrets
from engine.store.pool import Connection, Pool, transaction

APPROVED_BY = "approved_by"
"""The output that says who approved: user ids, several joined by a comma."""


class StepApprovals:
    """Asks for approvals of steps, one transaction each."""

    def __init__(self, pool: Pool, cipher: Cipher, teams: Teams) -> None:
        self._pool = pool
        self._cipher = cipher
        self._teams = teams

    async def ask(self, context: StepContext, template: ApprovalTemplate) -> Standing:
        """Ask, once by the context's key, while the step runs; StepFailed where nobody could."""
        rule = Rule(template.approvers, template.count, template.expires)
        async with transaction(self._pool) as connection:
            running = await approvals.running_step(connection, context.request_id, context.step_id)
            if running is None:
                return Standing("withdrawn")
            row = await requests.request_row(connection, running.request_id)
            if row is None:
                return Standing("withdrawn")
            key = context.idempotency_key
            if await approvals.standing(connection, key) is None:
                await self._require_somebody(connection, rule, row.requester_user_id)
            await rules.ask(
                connection,
                row,
                rule,
                key=key,
                step=(running.id, context.step_id),
                message=template.message and context.redacted(template.message),
                fields=_redacted(context, template.fields or ()),
            )
            return await self._standing(connection, key)

    async def look(self, key: str) -> Standing:
        """Return how the approval of a key stands."""
        async with transaction(self._pool) as connection:
            return await self._standing(connection, key)

    async def withdraw(self, key: str) -> None:
        """Take the question back."""
        async with transaction(self._pool) as connection:
            await approvals.withdraw_key(connection, key)

    async def _require_somebody(self, connection: Connection, rule: Rule, requester: str) -> None:
        try:
            await rules.refuse_impossible(connection, rule, self._teams, [requester])
        except Conflict as nobody:
            raise StepFailed("nobody_to_approve", str(nobody), kind="permanent") from None

    async def _standing(self, connection: Connection, key: str) -> Standing:
        found = await approvals.standing(connection, key)
        if found is None:
            return Standing("withdrawn")
        status: Any = found.status
        if status == "approved":
            return await self._approved(connection, found.decisions)
        if status == "rejected":
            last = found.decisions[-1]
            return Standing(status, rejected_by=last["name"], reason=last["reason"])
        return Standing(status, seconds_left=found.seconds_left)

    async def _approved(
        self, connection: Connection, decisions: Sequence[Mapping[str, Any]]
    ) -> Standing:
        outputs = outputs_of(decisions)
        kept = await stored_secrets.by_id(connection, references_in(outputs))
        clear: dict[UUID, Any] = {
            id_: self._cipher.decrypt(one.ciphertext, one.purpose, one.key_id)
            for id_, one in kept.items()
        }
        sensitive = frozenset(key for key, value in outputs.items() if any(references_in(value)))
        return Standing("approved", outputs=in_clear(outputs, clear), sensitive=sensitive)


def _redacted(context: StepContext, value: Any) -> Any:
    """Return JSON with secrets as dots: a question is kept, told and shown to many."""
    if isinstance(value, str):
        return context.redacted(value)
    if isinstance(value, Mapping):
        return {key: _redacted(context, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(context, inner) for inner in value]
    return value


def outputs_of(decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the outputs of an approved step: what approvers filled in, the last one's word, and who."""
    outputs: dict[str, Any] = {}
    for decision in decisions:
        outputs |= decision["fields"] or {}
    approved = [one["user_id"] for one in decisions if one["decision"] == "approved"]
    return {**outputs, APPROVED_BY: ", ".join(approved)}


def fields_of(written: Sequence[Mapping[str, Any]]) -> list[BaseField]:
    """Return the fields that an approver fills, read as a form's."""
    return list(load_presentation({"fields": list(written)}).all_fields)


def secret_names(fields: list[BaseField]) -> frozenset[str]:
    """Return the names of the fields that hold secrets."""
    return frozenset(field.name for field in fields if isinstance(field, SecretField))
