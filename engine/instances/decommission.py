"""Whether an instance may go: the question, without locks and without consequence.

Who acts asks again: `update_request_status` holds the instance (and a bundle's members) and asks
in the transaction that starts the decommission, and a new dependency on it is refused from then on.
"""

from __future__ import annotations

from uuid import UUID

from engine.results import DecommissionCheck
from engine.store import instances
from engine.store.pool import Connection


async def check(connection: Connection, instance_id: UUID) -> DecommissionCheck:
    """Return whether the instance may go now and, where not, why and because of whom."""
    return await instances.can_decommission(connection, instance_id)
