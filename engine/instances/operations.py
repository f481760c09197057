"""What can be done to an instance: the one that is meant, its operations' forms, paths of upgrades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.errors import InvalidInput
from engine.instances import lifecycle
from engine.people.permissions import Action
from engine.results import Actor, RequestType, Submission
from engine.store.instances import InstanceRow
from engine.store.pool import Connection

ACTIONS: Final[Mapping[RequestType, Action]] = {
    "update": Action.UPDATE,
    "upgrade": Action.UPGRADE,
    "decommission": Action.DECOMMISSION,
}


async def target_of(
    connection: Connection, actor: Actor, submission: Submission
) -> InstanceRow | None:
    """Return the instance that a day-2 submission is about; None for a create.

    Raises Denied as `lifecycle.find` does, InvalidInput where no instance is named.
    """
    if submission.request_type == "create":
        return None
    if not submission.instance:
        raise InvalidInput("Say which instance", field="instance", code="required")
    action = ACTIONS[submission.request_type]
    return await lifecycle.find(connection, actor, submission.instance, action)
