"""Requests that are aborted once what they made is destroyed again.

in_progress ──abort with destruction──> in_progress: running steps end, then destroy steps run
in_progress ──the last destroy step ended, whatever came of it──> aborted, tickets asked for
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from engine.foreign_json import clean
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, run, value, values

_sql = queries.load("aborting")

DESTROY_PREFIX: Final = "destroy:"
"""Before the step id of a step that destroys what another one made."""


async def may_have_left(connection: Connection, request_id: UUID) -> bool:
    """Say whether anything may stand of what a request, or people for it, did."""
    return bool(await value(connection, _sql.may_have_left, {"id": request_id}))


async def note(
    connection: Connection,
    request_id: UUID,
    reason: str | None,
    tickets: Mapping[str, str | None],
) -> None:
    """Have the request aborted at the end of its clean-up. `tickets`: type -> system, or None."""
    parameters = {"id": request_id, "reason": clean(reason), "tickets": jsonb(tickets)}
    await run(connection, _sql.note_abort, parameters)


async def take_members(
    connection: Connection, request_id: UUID, components: Collection[str]
) -> list[str]:
    """Have the members of these components, as far as they are done, on their way out.

    Returns in words who needs them or works on them; then nothing is changed. The request is locked.
    """
    names = {"id": request_id, "components": list(components)}
    await values(connection, _sql.hold_made, {"id": request_id})
    # A statement of its own, after the locks: it sees what was committed before them.
    needed: list[str] = await values(connection, _sql.needed_outside, names)
    if not needed:
        await values(connection, _sql.take_members, names)
    return needed


async def advance(connection: Connection, request_ids: Sequence[UUID]) -> set[UUID]:
    """Begin or end the clean-up of those requests that are being aborted; return those.

    They are locked and have no open step.
    """
    ids = await values(connection, _sql.being_aborted, {"ids": list(request_ids)})
    if not ids:
        return set()
    begun = set(await values(connection, _sql.begin_cleanup, {"ids": ids}))
    ending = [id_ for id_ in ids if id_ not in begun]
    ended = [one.id for one in await rows(connection, _sql.end_aborted, {"ids": ending}, _Ended)]
    if ended:
        names = {"ids": ended, "prefix": DESTROY_PREFIX}
        await run(connection, _sql.forget_destroyed, names)
        await run(connection, _sql.forget_resources, {"ids": ended})
        await run(connection, _sql.ask_for_tickets, {"ids": ended})
    return begun | set(ended)


@dataclass(frozen=True, slots=True)
class _Ended:
    id: UUID
    moved: str | None
