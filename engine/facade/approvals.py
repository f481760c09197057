"""What people approve, and what waits for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from engine.facade.core import Core
from engine.requests import clone, decisions, views, waiting
from engine.results import Actor, ApprovalView, Clone, RequestSummary, RequestView
from engine.store.pool import Connection, transaction


class ApprovalVerbs(Core):
    """What people approve, and what waits for them."""

    async def approve(
        self,
        actor: Actor,
        request_id: str,
        *,
        step: str | None = None,
        reason: str | None = None,
        fields: Mapping[str, Any] | None = None,
        texts: frozenset[str] = frozenset(),
    ) -> RequestView:
        """Approve what waits for the person: the request, or one of its approval steps."""
        return await self._decide(
            actor,
            request_id,
            lambda connection: decisions.approve(
                connection,
                self._cipher,
                actor,
                request_id,
                step=step,
                reason=reason,
                fields=fields,
                texts=texts,
            ),
        )

    async def reject(
        self, actor: Actor, request_id: str, *, step: str | None = None, reason: str
    ) -> RequestView:
        """Reject what waits for the person, with a reason."""
        return await self._decide(
            actor,
            request_id,
            lambda connection: decisions.reject(
                connection, self._cipher, actor, request_id, step=step, reason=reason
            ),
        )

    async def approval_to_decide(
        self, actor: Actor, request_id: str, *, step: str | None = None
    ) -> ApprovalView:
        """Return the approval that the person may decide now; raises what `approve` would."""
        await self._expire(actor, request_id)
        return await self._transact(
            lambda connection: decisions.to_decide(connection, actor, request_id, step=step), actor
        )

    async def waiting_for(self, actor: Actor) -> Sequence[RequestSummary]:
        """Return what waits for the person: approvals, open tickets and failed requests of theirs."""
        async with transaction(self._pool) as connection:
            return await waiting.waiting_for(connection, actor)

    async def clone(self, actor: Actor, request_id: str) -> Clone:
        """Return what an earlier request asked for, to fill a new form with."""
        return await self._transact(
            lambda connection: clone.clone(connection, actor, request_id), actor
        )

    async def _decide(
        self, actor: Actor, request_id: str, verb: Callable[[Connection], Awaitable[UUID]]
    ) -> RequestView:
        async def work(connection: Connection) -> RequestView:
            return await views.view(connection, await verb(connection))

        await self._expire(actor, request_id)
        return await self._transact(work, actor)

    async def _expire(self, actor: Actor, request_id: str) -> None:
        """End what has waited too long in a request, before somebody decides about it."""

        async def find(connection: Connection) -> UUID:
            return (await views.find(connection, actor, request_id)).id

        id_ = await self._transact(find, actor)
        await decisions.expire_overdue(self._pool, id_)
