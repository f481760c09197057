"""A step's context as the engine gives it, kept in memory, for tests of step types alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.outbound import Outbound
from engine.steps.services import StepServices


class LeaseGone(Exception):
    """Another worker has the step."""


@dataclass
class Context:
    """What `StepContext` promises; `logs`, `told` and `external` are what the step did with it."""

    template: Mapping[str, Any]
    work_dir: Path = Path("/nonexistent")
    config: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = "req-1"
    request_type: str = "create"
    step_id: str = "step-1"
    step_name: str = "provision"
    attempt_number: int = 1
    idempotency_key: str = "key-1"
    earlier_idempotency_keys: Sequence[str] = ()
    instance_id: str | None = "si-abc"
    catalog_commit: str | None = "c" * 40
    destructive: bool = True
    external: dict[str, Any] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    jobs: list[tuple[str | None, str | None]] = field(default_factory=list)
    lease_checks: int = 0
    lost_after: int | None = None
    """The lease is found lost after so many checks."""

    async def remember(self, external: Mapping[str, Any]) -> None:
        self.external = {**self.external, **external}

    async def check_lease(self) -> None:
        self.lease_checks += 1
        if self.lost_after is not None and self.lease_checks > self.lost_after:
            raise LeaseGone

    async def log(self, text: str) -> None:
        self.logs.append(text)

    def redacted(self, text: str) -> str:
        return text

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        self.told.append((kind, data))

    async def remember_job(self, job_id: str | None, job_url: str | None) -> None:
        self.jobs.append((job_id, job_url))

    @property
    def log_text(self) -> str:
        return "".join(self.logs)


async def no_modules(commit: str, path: str, target: Path) -> None:
    raise AssertionError(f"nothing here reads modules, asked for {path} at {commit} in {target}")


def services(outbound: Outbound, data_dir: Path, **more: Any) -> StepServices:
    return StepServices(
        **{"outbound": outbound, "export_module": no_modules} | more, data_dir=data_dir
    )
