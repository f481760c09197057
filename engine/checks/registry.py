"""Which pre-execution checks there are. A new built-in one is a class and a line here."""

from __future__ import annotations

from typing import Final, TypeAlias

from engine.checks.base import PreExecutionCheck
from engine.steps.extension import Kind, Registry
from engine.steps.services import StepServices

CheckRegistry: TypeAlias = Registry[PreExecutionCheck]

CHECKS: Final[Kind[PreExecutionCheck]] = Kind(
    "pre-execution check",
    "pao.checks",
    {
        "verify_target_compatibility": "engine.requests.checks:TargetCompatibility",
        "validate_maintenance_window": "engine.requests.checks:MaintenanceWindow",
        "check_backup_status": "engine.checks.backup:BackupStatus",
    },
)

NO_CHECKS: Final[CheckRegistry] = Registry("pre-execution check", {})

BACKUP_PROVIDERS: Final[Kind[PreExecutionCheck]] = Kind(
    "backup provider", "pao.backup_providers", {}
)
"""What `check_backup_status` asks where the document names nothing to ask."""


def build_checks(services: StepServices) -> CheckRegistry:
    """Build every check; plug-ins that fail are in the registry's `broken`."""
    return CHECKS.build(services)


def check_names() -> frozenset[str]:
    """Return the names of all checks, without importing any."""
    return CHECKS.names()
