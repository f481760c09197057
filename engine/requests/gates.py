"""Gates: what stands between a request and its first step is looked at by whoever carries steps.

    validating, resuming ──checks run, outside any transaction──> in_progress, or failed
    in_progress ──its time has come, judged once more──> steps due, or failed
    an approval ──its time is over──> the request cancelled, the step failed

A look takes the request by a lease and a token: the outcome of one that was overtaken, or whose
request has ended meanwhile, is not taken. A death in the middle loses the round; when the lease is
over another worker runs it again, since checks only ask. All times are the database's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from engine.checks.base import CheckFacts
from engine.checks.registry import CheckRegistry
from engine.config import EngineConfig
from engine.errors import PaoError, Unavailable
from engine.events import STEPS_CHANNEL
from engine.requests import begin, decisions, limits
from engine.requests.checks import WINDOW, CheckCall, checks_of, outside_window
from engine.requests.names import shown_names
from engine.store import claimed, gates, requests
from engine.store.claimed import ClaimedRequest
from engine.store.gates import FactsRow, GateClaim
from engine.store.pool import Pool, retried_on_conflict, transaction
from engine.templates import render

LEASE: Final = timedelta(minutes=2)
CHECK_SECONDS: Final = 60.0
"""How long one check may take."""

BATCH: Final = 10
LONGEST_REASON: Final = 1000
SOON: Final = 1.0
"""Seconds within which the next look is worth staying for."""

log = structlog.get_logger(__name__)


class Gates:
    """Looks at the gates of all requests, or of one."""

    def __init__(
        self,
        pool: Pool,
        checks: CheckRegistry,
        config: EngineConfig,
        request_id: UUID | None = None,
    ) -> None:
        self._pool = pool
        self._checks = checks
        self._config = config
        self._request_id = request_id

    async def work(self) -> bool:
        """Look at what is due; say whether there may be more. Raises Unavailable."""
        async with transaction(self._pool) as connection:
            claims = await gates.claim(
                connection, limit=BATCH, lease=LEASE, request_id=self._request_id
            )
        overdue = await decisions.overdue(self._pool, self._request_id)
        async with asyncio.TaskGroup() as looks:
            for one in claims:
                looks.create_task(self._look(one), name=f"gate {one.request_id}")
            looks.create_task(self._expire(overdue), name="overdue approvals")
        return bool(claims)

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until a gate is due, None where none is."""
        async with transaction(self._pool) as connection:
            return await gates.seconds_to_next(connection, self._request_id)

    async def _look(self, claim: GateClaim) -> None:
        """Errors are the request's own: the others go on, and this one comes up again.

        Also where it found no database: when that is away for all, the next claim says so.
        """
        try:
            await (self._check(claim) if claim.gate == "checks" else self._open(claim))
        except PaoError as error:
            log.warning("gate_failed", request_id=claim.request_id, error=str(error))
        except Exception:
            log.exception("gate_crashed", request_id=claim.request_id)

    async def _expire(self, overdue: Sequence[UUID]) -> None:
        """End what these requests waited for; one that cannot be ended holds up no other."""
        for id_ in overdue:
            try:
                await decisions.expire(self._pool, id_)
            except PaoError as error:
                log.warning("approval_not_ended", request=str(id_), error=str(error))
            except Exception:
                log.exception("approval_not_ended", request=str(id_))

    async def _check(self, claim: GateClaim) -> None:
        async with transaction(self._pool) as connection:
            row = await gates.facts(connection, claim.id)
            request = (await claimed.requests_of(connection, [claim.id])).get(claim.id)
        if row is None or request is None:
            return
        facts = begin.as_facts(row, self._config.window_grace)
        calls = checks_of(row.plan)
        try:
            async with asyncio.TaskGroup() as asking:
                asked = [asking.create_task(self._ask(call, facts, request)) for call in calls]
        except* Unavailable as several:
            raise several.exceptions[0] from None
        found = [(call.shown, one.result()) for call, one in zip(calls, asked, strict=True)]
        await self._write(claim, found, row)

    async def _ask(self, call: CheckCall, facts: CheckFacts, request: ClaimedRequest) -> str | None:
        """Return why a check fails, None where it passes."""
        try:
            template = _rendered(call, request)
            async with asyncio.timeout(CHECK_SECONDS):
                reason = await self._checks.get(call.check).check(facts, template)
        except Unavailable:
            raise
        except TimeoutError:
            reason = f"the check gave no answer within {CHECK_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001 (the edge of the check)
            log.warning("check_failed", check=call.check, error=str(error))
            reason = str(error) or type(error).__name__
        return None if reason is None else reason[:LONGEST_REASON]

    @retried_on_conflict
    async def _write(
        self, claim: GateClaim, found: list[tuple[str, str | None]], facts: FactsRow
    ) -> None:
        """Keep what was found, and let the request start or fail by it."""
        async with transaction(self._pool) as connection:
            if not await gates.hold(connection, claim):
                return
            row = await begin.locked(connection, claim.id)
            await begin.tell(connection, row, found)
            failed = [f"{name}: {reason}" for name, reason in found if reason is not None]
            if failed:
                await begin.fail(connection, row, "; ".join(failed))
            else:
                await gates.clear(connection, row.id)
                await begin.start(connection, row, facts.sequence_seconds)
            await requests.wake(connection, STEPS_CHANNEL)

    @retried_on_conflict
    async def _open(self, claim: GateClaim) -> None:
        """Open a request whose time has come, unless it may not run any more."""
        async with transaction(self._pool) as connection:
            if not await gates.hold(connection, claim):
                return
            row = await begin.locked(connection, claim.id)
            facts = await gates.facts(connection, claim.id)
            if facts is None:
                return
            found = []
            if any(call.check == WINDOW for call in checks_of(row.plan)):
                found.append(
                    (WINDOW, outside_window(begin.as_facts(facts, self._config.window_grace)))
                )
            found.append(("limits", await limits.beyond(connection, self._config, row)))
            failed = [(name, reason) for name, reason in found if reason is not None]
            if failed:
                await begin.tell(connection, row, failed)
                await begin.fail(connection, row, "; ".join(f"{n}: {r}" for n, r in failed))
            else:
                await begin.open_steps(connection, row, facts.sequence_seconds)
            await requests.wake(connection, STEPS_CHANNEL)


def _rendered(call: CheckCall, request: ClaimedRequest) -> Mapping[str, Any] | None:
    if call.template is None:
        return None
    template: Mapping[str, Any] = render(call.template, shown_names(request, call.component))
    return template
