"""What is deployed, its neighbours, its past, and what it can become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engine.results.catalog import CatalogDetails
from engine.results.shared import Json


@dataclass(frozen=True, slots=True)
class DependencyView:
    """One end of a dependency, seen from the other."""

    relationship: Literal["provider", "dependent"]
    instance_id: str
    instance_name: str
    instance_state: str
    dependency_type: str
    dependency_name: str | None
    is_required: bool


@dataclass(frozen=True, slots=True)
class MemberView:
    """One end of a bundle's membership, seen from the other."""

    instance_id: str
    instance_name: str
    instance_state: str
    catalog_item: str
    catalog_version: str
    component_name: str | None
    member_role: str | None
    is_required: bool


@dataclass(frozen=True, slots=True)
class InstanceView:
    """A deployed service whole."""

    instance_id: str
    instance_name: str
    instance_state: str
    catalog_item: str | None
    catalog_bundle: str | None
    catalog_version: str
    owner_user_id: str
    owner_team: str
    owner_email: str | None
    deployment_parameters: Mapping[str, Json]
    deployed_resources: Sequence[Mapping[str, Json]]
    service_outputs: Mapping[str, Json]
    created_at: datetime
    updated_at: datetime
    provisioned_at: datetime | None
    decommissioned_at: datetime | None
    dependencies: Sequence[DependencyView] = ()
    creation_request_id: str | None = None
    open_requests: Sequence[str] = ()
    secret_outputs: tuple[str, ...] = ()
    members: Sequence[MemberView] = ()
    """What a bundle consists of."""
    bundles: Sequence[MemberView] = ()
    """The bundles that this instance is a member of; `instance_id` is the bundle's."""
    failed_request_id: str | None = None
    """The update or upgrade that failed, where it was the last that happened; the next three are of it."""
    instance_usable: bool | None = None
    update_repeatable: bool | None = None
    comparison: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstanceSummary:
    """A deployed service as lists show it."""

    instance_id: str
    instance_name: str
    instance_state: str
    catalog_name: str
    catalog_version: str
    owner_user_id: str
    owner_team: str
    created_at: datetime
    updated_at: datetime
    operations_due: Sequence[str] = ()
    """Names of the updates and upgrades that are eligible now."""


@dataclass(frozen=True, slots=True)
class DecommissionCheck:
    """Whether an instance may be decommissioned now."""

    can_decommission: bool
    reason: str | None
    blocking_instances: Sequence[Mapping[str, Json]]
    """[{instance_id, instance_name, instance_state, dependency_type, owner_user_id, owner_team, needs}]; `needs`
    is the external id of the instance (this one or a member of the bundle) that is needed."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """How one update or upgrade of an instance ended; `upgrade_request_id` is an external id."""

    from_version: str | None
    to_version: str
    upgrade_type: str
    upgrade_request_id: str | None
    upgrade_item_name: str | None
    upgraded_at: datetime
    upgrade_duration_seconds: int | None
    upgrade_status: str
    rollback_available: bool
    upgrade_notes: str | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to an instance: an event of it or of a request about it."""

    kind: str
    at: datetime
    data: Mapping[str, Json]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class OperationView:
    """An update or upgrade as seen from an instance; `reason` says why it is not eligible."""

    operation_type: str
    operation_name: str
    operation_version: str
    description: str | None
    destructive: bool
    downtime_required: bool
    estimated_duration: str | None
    eligible: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class OperationForm:
    """What a form of an update or upgrade shows; `values` are prefilled, secrets left out."""

    instance: InstanceView
    operation: OperationView
    details: CatalogDetails
    values: Mapping[str, Json]
    prerequisites: Sequence[str] = ()
    notes: str | None = None
    to_version: str | None = None

    @property
    def needs_confirmation(self) -> bool:
        """Whether the instance's name must be typed."""
        return self.operation.destructive or self.operation.downtime_required
