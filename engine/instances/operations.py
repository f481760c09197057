"""What can be done to an instance: the one that is meant, its operations' forms, paths of upgrades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.catalog import search
from engine.catalog.documents import Targets, load_targets
from engine.catalog.versions import VersionError, parse_version, satisfies
from engine.errors import InvalidInput
from engine.instances import lifecycle
from engine.people.permissions import Action
from engine.requests.operations import ACTIONS, KINDS, OperationType, order
from engine.results import Actor, OperationForm, OperationView, RequestType, Submission
from engine.store import documents
from engine.store.documents import StoredDocument
from engine.store.instances import InstanceRow
from engine.store.pool import Connection

DAY_TWO: Final[Mapping[RequestType, Action]] = {
    "update": Action.UPDATE,
    "upgrade": Action.UPGRADE,
    "decommission": Action.DECOMMISSION,
}
MOST_PATHS: Final = 20
"""Chains of upgrades that are proposed at most."""


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
    action = DAY_TWO[submission.request_type]
    return await lifecycle.find(connection, actor, submission.instance, action)


async def form(
    connection: Connection, actor: Actor, instance_id: str, request_type: OperationType, name: str
) -> OperationForm:
    """Return the form of an update or upgrade of an instance, prefilled from it.

    Raises Conflict with the reason where the operation is not eligible or another request has the
    instance, NotFound and Denied as a submission does.
    """
    row = await lifecycle.find(connection, actor, instance_id, ACTIONS[request_type])
    found = await order(connection, actor, request_type, name, row)
    offered = found.require_eligible()
    details = await search.details(connection, actor, found.document.name, KINDS[request_type])
    return OperationForm(
        instance=await lifecycle.view(connection, row),
        operation=offered,
        details=replace(details, presentation=found.presentation),
        values=found.prefilled(),
        prerequisites=found.targets.prerequisites,
        notes=found.targets.notes,
        to_version=found.to_version,
    )


async def upgrade_path(
    connection: Connection, actor: Actor, instance_id: str
) -> Sequence[Sequence[OperationView]]:
    """Return the chains of upgrades that lead on from each other, the longest way each.

    From the instance's version on, always to a higher one; a single upgrade is no path.
    """
    row = await lifecycle.find(connection, actor, instance_id)
    offered = [
        one
        for one in await lifecycle.operations(connection, actor, row.id)
        if one.operation_type == "upgrade"
    ]
    names = [one.operation_name for one in offered]
    upgrades = {
        one.name: one for one in await documents.held_documents(connection, "UpgradeItem", names)
    }
    item = await documents.document_of_instance(connection, row.id)
    rungs = [
        _Rung(one, load_targets(upgrades[one.operation_name].targets or {}), item)
        for one in offered
        if one.operation_name in upgrades
    ]
    chains = _chains(row.catalog_version, rungs)
    found = [chain for _, chain in zip(range(MOST_PATHS), chains, strict=False)]
    return [[rung.operation for rung in chain] for chain in found if len(chain) > 1]


@dataclass(frozen=True, slots=True)
class _Rung:
    """An upgrade as a step from some versions to another."""

    operation: OperationView
    targets: Targets
    item: StoredDocument

    def leads_to(self, version: str) -> str | None:
        """Return the version that it makes of another; None where it does not lead higher."""
        for target in self.targets.catalog_items:
            is_meant = target.name in (self.item.name, self.item.slug)
            if is_meant and satisfies(version, target.version_range):
                after = target.to_version or self.item.version
                return after if _is_higher(after, version) else None
        return None


def _chains(version: str, rungs: Sequence[_Rung]) -> Iterator[tuple[_Rung, ...]]:
    """Yield every chain from a version on, as far as it leads; versions only grow, so it ends."""
    for rung in rungs:
        after = rung.leads_to(version)
        if after is not None:
            further = list(_chains(after, rungs))
            yield from ((rung, *chain) for chain in further) if further else ((rung,),)


def _is_higher(one: str, other: str) -> bool:
    try:
        return parse_version(one).key > parse_version(other).key
    except VersionError:
        return False
