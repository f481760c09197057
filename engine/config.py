"""What the engine must be told to run. Read from settings by its caller; the engine reads no environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

LEASE = timedelta(seconds=30)
"""How long a claimed step is its worker's without a renewal."""

SHUTDOWN_GRACE = timedelta(seconds=30)
"""How long running steps may go on after SIGTERM before they are handed back."""

WINDOW_GRACE = timedelta(hours=1)
"""How long after its start a maintenance window without an end still counts as open."""

DATABASE_OUTAGE = timedelta(minutes=5)
"""How long long-running processes wait for a lost database before they give up."""


@dataclass(frozen=True, slots=True)
class TicketSystemSettings:
    """Addresses and credentials of the outside ticket systems; None where one is not connected."""

    jira_url: str | None = None
    jira_user: str | None = None
    jira_token: str | None = None
    servicenow_url: str | None = None
    servicenow_user: str | None = None
    servicenow_password: str | None = None
    smtp_host: str | None = None
    smtp_port: int = 25
    smtp_from: str | None = None
    smtp_user: str | None = None
    smtp_password: str | None = None
    smtp_tls: bool = True


@dataclass(frozen=True, slots=True)
class GitHubSettings:
    """Where GitHub's REST API is and who we are there."""

    api_url: str = "https://api.github.com"
    token: str | None = None
    app_id: str | None = None
    app_key: str | None = None


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything the engine needs beyond the database it is given.

    `teams` maps a team's name to the user ids that the settings declare for it; `secrets_allow` maps a secret's
    key to the owners and paths of the documents that may name it (empty: every document may).
    """

    database_url: str
    data_dir: Path
    database_direct_url: str | None = None
    catalog_url: str | None = None
    catalog_branch: str = "main"
    catalog_token: str | None = None
    catalog_sync_interval: timedelta = timedelta(minutes=5)
    dispatcher: Literal["apscheduler", "procrastinate"] = "apscheduler"
    worker_concurrency: int = 10
    lease: timedelta = LEASE
    shutdown_grace: timedelta = SHUTDOWN_GRACE
    window_grace: timedelta = WINDOW_GRACE
    database_outage: timedelta = DATABASE_OUTAGE
    terraform_bin: str | None = None
    terraform_module_allow: tuple[str, ...] = ()
    outbound_allow: tuple[str, ...] = ()
    secrets_dir: Path | None = None
    secrets_allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encryption_keys: tuple[str, ...] = ()
    admins: frozenset[str] = frozenset()
    teams: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notify_channel: str | None = None
    public_url: str | None = None
    otlp_endpoint: str | None = None
    retention: timedelta | None = None
    github: GitHubSettings = field(default_factory=GitHubSettings)
    tickets: TicketSystemSettings = field(default_factory=TicketSystemSettings)
