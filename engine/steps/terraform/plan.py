"""A plan as `show -json` tells it: what would change, and what must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import StepFailed
from engine.steps.terraform.module import CALL, SOURCE_OUTPUT


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to one resource. `actions` are Terraform's words."""

    address: str
    actions: frozenset[str]
    reason: str | None

    @property
    def destroys(self) -> bool:
        """Whether the resource, as it is, would be gone."""
        return "delete" in self.actions

    @property
    def is_repair(self) -> bool:
        """Whether only a resource whose making failed is replaced."""
        return self.reason == "replace_because_tainted"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan's changes. `made_by`: the module that made the state, None for a new one."""

    changes: Sequence[Change]
    variables: Mapping[str, Any]
    made_by: str | None

    def summary(self) -> dict[str, int]:
        """Return Terraform's own counting: a replacement is one added and one destroyed."""
        return {
            "add": sum("create" in change.actions for change in self.changes),
            "change": sum("update" in change.actions for change in self.changes),
            "destroy": sum(change.destroys for change in self.changes),
        }

    def refuse_destruction(self) -> None:
        """Raise StepFailed (permanent), naming the resources, where one would be destroyed."""
        lost = [one.address for one in self.changes if one.destroys and not one.is_repair]
        if lost:
            raise StepFailed(
                "plan_destroys",
                f"The plan would destroy or replace {', '.join(lost)}",
                details={"resources": lost, "plan": self.summary()},
                kind="permanent",
                do="Change the parameters, or declare the operation `destructive: true`",
            )

    def refuse_other_module(self, source: str) -> None:
        """Raise StepFailed (permanent) where another module made the state."""
        if self.made_by is not None and self.made_by != source:
            raise StepFailed(
                "other_module",
                f"The state was made by the module {self.made_by}, not by {source}",
                details={"made_by": self.made_by, "module": source},
                kind="permanent",
                do="Use the same module, or declare the operation `destructive: true`",
            )


def read_plan(document: Mapping[str, Any]) -> Plan:
    """Read `terraform show -json PLAN`."""
    changes = [
        Change(
            short_address(str(one.get("address"))),
            frozenset(one.get("change", {}).get("actions", ())),
            one.get("action_reason"),
        )
        for one in document.get("resource_changes", ())
        if one.get("mode") == "managed"
    ]
    variables = {name: one.get("value") for name, one in (document.get("variables") or {}).items()}
    source = (document.get("output_changes") or {}).get(SOURCE_OUTPUT) or {}
    return Plan(changes, variables, source.get("before"))


def read_drift(document: Mapping[str, Any]) -> Sequence[str]:
    """Read `terraform show -json` of a refresh-only plan: the resources that are not as applied."""
    return [
        short_address(str(one.get("address")))
        for one in document.get("resource_drift", ())
        if one.get("mode") == "managed"
        and set(one.get("change", {}).get("actions", ())) - {"no-op", "read"}
    ]


def short_address(address: str) -> str:
    """Return an address as the module's author knows it, without our call of the module."""
    return address.removeprefix(f"module.{CALL}.")
