"""The built-in pre-execution checks that need nothing but the facts of the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from engine.catalog.versions import parse_version, satisfies
from engine.checks.base import CheckFacts
from engine.requests import windows
from engine.steps.services import StepServices

COMPATIBILITY: Final = "verify_target_compatibility"
WINDOW: Final = "validate_maintenance_window"

CHANGEABLE: Final = frozenset({"active", "degraded", "updating"})
"""States of an instance that an update or upgrade may meet; `updating` is its own."""


@dataclass(frozen=True, slots=True)
class CheckCall:
    """A check that a plan asks for. `component` names a bundle's component whose document asks."""

    check: str
    template: Mapping[str, Any] | None = None
    component: str | None = None

    @property
    def shown(self) -> str:
        """What people read."""
        return f"{self.component}/{self.check}" if self.component else self.check


def checks_of(plan: Mapping[str, Any]) -> list[CheckCall]:
    """Return the checks that a plan asks for, those of a bundle's enabled components included."""
    calls = _calls(plan.get("fulfillment"), None)
    for name, component in (plan.get("components") or {}).items():
        if component.get("enabled", True):
            calls += _calls(component.get("fulfillment"), name)
    return calls


class TargetCompatibility:
    """The instance is still what the update or upgrade is for."""

    name: ClassVar[str] = COMPATIBILITY

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the facts say it."""

    async def check(self, facts: CheckFacts, _: Mapping[str, Any] | None) -> str | None:
        """Judge state, version and parameters of the instance."""
        return incompatibility(facts)


class MaintenanceWindow:
    """The request's window has not passed."""

    name: ClassVar[str] = WINDOW

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the facts say it."""

    async def check(self, facts: CheckFacts, _: Mapping[str, Any] | None) -> str | None:
        """Judge by the database's clock; a request without a window may run at any time."""
        return outside_window(facts)


def incompatibility(facts: CheckFacts) -> str | None:
    """Return why the instance is not what an update or upgrade is for; None for other requests."""
    if facts.request_type not in ("update", "upgrade") or facts.targets is None:
        return None
    if facts.instance_state not in CHANGEABLE:
        return f"{facts.instance_id} is {facts.instance_state}"
    target = _target(facts)
    if target is None:
        return f"{facts.instance_id} is not of an item that this is for"
    version = facts.instance_version or ""
    if not satisfies(version, target.get("version_range")):
        return f"version {version} is outside {target['version_range']}"
    if facts.to_version and not facts.destructive and _is_lower(facts.to_version, version):
        return f"it would take version {version} back to {facts.to_version}"
    missing = _missing(target.get("required_parameters") or (), facts)
    return f"the instance has no {', '.join(missing)}" if missing else None


def outside_window(facts: CheckFacts) -> str | None:
    """Return why the request's window does not hold any more, or cannot be read."""
    try:
        windows.window_of(facts.parameters)
    except ValueError as unreadable:
        return str(unreadable)
    return windows.passed(facts.now, facts.not_before, facts.window_ends_at, facts.window_grace)


def _calls(fulfillment: Mapping[str, Any] | None, component: str | None) -> list[CheckCall]:
    automation = (fulfillment or {}).get("automation") or {}
    return [
        CheckCall(written, None, component)
        if isinstance(written, str)
        else CheckCall(written["check"], written.get("template"), component)
        for written in automation.get("pre_execution_checks") or ()
    ]


def _target(facts: CheckFacts) -> Mapping[str, Any] | None:
    """Return the target that fits the instance's version, else any that names its item."""
    named: list[Mapping[str, Any]] = [
        target
        for target in (facts.targets or {}).get("catalog_items") or ()
        if target["name"] in facts.instance_item
    ]
    for target in named:
        if satisfies(facts.instance_version or "", target.get("version_range")):
            return target
    return named[0] if named else None


def _is_lower(one: str, other: str) -> bool:
    return parse_version(one).key < parse_version(other).key


def _missing(names: Sequence[str], facts: CheckFacts) -> list[str]:
    known = {**(facts.instance_parameters or {}), **facts.parameters}
    return [name for name in names if known.get(name) is None]
