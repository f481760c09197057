"""Approvals as people see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, cast
from uuid import UUID

from engine.results import ApprovalView, Decision
from engine.store.approvals import ApprovalRow, DecisionRow

Status = Literal["waiting", "approved", "rejected", "expired", "withdrawn"]


def approval_views(
    rows: Sequence[ApprovalRow], decisions: Sequence[DecisionRow]
) -> list[ApprovalView]:
    """Return the approvals of a request with the decisions on each."""
    by_approval: dict[UUID, list[Decision]] = defaultdict(list)
    for one in decisions:
        by_approval[one.approval_id].append(_decision(one))
    return [approval_view(row, by_approval[row.id]) for row in rows]


def approval_view(row: ApprovalRow, decisions: Sequence[Decision]) -> ApprovalView:
    """Return one approval; one whose time is over waits for nobody any more."""
    return ApprovalView(
        step=row.step,
        status=cast("Status", "expired" if row.is_overdue else row.status),
        approvers=row.approvers,
        needed=row.needed,
        decisions=decisions,
        expires_at=row.expires_at,
        message=row.message,
        fields=row.fields,
        component=row.component,
    )


def _decision(row: DecisionRow) -> Decision:
    return Decision(
        approver=row.user_id,
        name=row.name,
        decision=row.decision,
        reason=row.reason,
        decided_at=row.decided_at,
        source=row.source,
        acted_as=row.decided_by,
    )
