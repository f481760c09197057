"""What step types, verifications and ticket systems are built with: the ways to the outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import GitHubSettings, TicketSystemSettings
from engine.steps.budgets import Budgets

if TYPE_CHECKING:
    # Names of step types are asked for without the HTTP libraries.
    from engine.outbound import Outbound
    from engine.steps.approval import ApprovalDesk
    from engine.steps.manual import ManualDesk

ExportModule = Callable[[str, str, Path], Awaitable[None]]
"""(commit, path in the catalog's repository, an empty folder): writes the files of that tree there.

Raises NotFound where there is no such tree, InvalidInput for a path or a link that leads out.
"""

TerraformDsn = Callable[[], Awaitable[str]]
"""Gives the address of Terraform's own state, for the role pao_terraform, password included."""


@dataclass(frozen=True, slots=True)
class StepServices:
    """One for a process. Foreign plug-ins are built with it too: fields are added, never renamed."""

    outbound: Outbound
    export_module: ExportModule
    data_dir: Path
    terraform_bin: str | None = None
    """TERRAFORM_BIN; None: terraform or tofu of PATH."""
    terraform_dsn: TerraformDsn | None = None
    """None: every Terraform step needs a backend_config of its own."""
    terraform_module_allow: tuple[str, ...] = ()
    github: GitHubSettings = field(default_factory=GitHubSettings)
    tickets: TicketSystemSettings = field(default_factory=TicketSystemSettings)
    approvals: ApprovalDesk | None = None
    """Where approval steps ask; None: there are none here."""
    manual: ManualDesk | None = None
    """Where the engine's own manual steps ask for their tickets; None: there are none here."""
    budgets: Budgets = field(default_factory=Budgets)
    """What outside servers want no calls of at present; all parts of the process heed it."""
