"""All settings: `PAO_*` in the environment, `pao.yml`, and files that hold secrets.

In order of precedence: options of the command line, the environment, the configuration file
(`--config`, else `PAO_CONFIG`, else `pao.yml` in the current folder), defaults. A setting `X` may
be read from a file that `PAO_X_FILE` names, as container platforms hand secrets over. In `pao.yml`
names are in lower case and without the prefix. Empty variables count as not set. Lists are
comma-separated or JSON. The names that Bolt's users know (`SLACK_BOT_TOKEN` ...) work as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.setting_sources import (
    DEFAULT_FILE,
    PREFIX,
    config_path,
    from_environment,
    from_file,
    origin,
)
from bot.setting_types import Duration, Keys, Names, NamesByKey, Networks, Teams
from engine.catalog.suggest import did_you_mean
from engine.config import (
    LEASE,
    SHUTDOWN_GRACE,
    WINDOW_GRACE,
    EngineConfig,
    GitHubSettings,
    TicketSystemSettings,
)
from engine.errors import ConfigurationError


def default_data_dir() -> Path:
    """Return the folder for data of who starts us: under /var/lib for root, else of the person."""
    if os.geteuid() == 0:
        return Path("/var/lib/pao")
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111
    return Path(home) / "pao"


class Settings(BaseSettings):
    """Every setting, with its default and what it is for. Built by `load`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    config: Path | None = Field(None, description=f"Configuration file; default `{DEFAULT_FILE}`")
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder for the embedded database, the catalog's mirror, keys; default "
        "`/var/lib/pao` for root, else `~/.local/share/pao`",
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL 14 or newer; without it an embedded one is started"
    )
    database_direct_url: SecretStr | None = Field(
        None, description="Address past a connection pooler, for LISTEN and migrations"
    )
    postgres_bin: Path | None = Field(
        None, description="Folder with `initdb` and `postgres` for the embedded database"
    )

    catalog_url: str | None = Field(None, description="Git repository of the catalog")
    catalog_branch: str = Field("main", description="Branch that is synced")
    catalog_sync_interval: Duration = Field(
        timedelta(minutes=5), description="How often the catalog is fetched"
    )
    catalog_token: SecretStr | None = Field(None, description="Token for a catalog over https")

    slack_bot_token: SecretStr | None = Field(None, description="Bot token, `xoxb-...`")
    slack_app_token: SecretStr | None = Field(
        None, description="App token, `xapp-...`; with it Socket Mode is used, else HTTP"
    )
    slack_signing_secret: SecretStr | None = Field(
        None, description="Proves that HTTP requests come from Slack"
    )
    slack_api_url: str | None = Field(None, description="Another server that speaks Slack's API")
    notify_channel: str | None = Field(
        None, description="Channel for the message that sums a sync of the catalog up"
    )
    admins: Names = Field((), description="Slack user ids that may do everything")
    teams: Teams = Field(
        default_factory=dict,
        description='Members of teams: `{"platform": ["U1", "U2"]}` or '
        '`{"platform": {"members": ["U1"], "usergroup": "sre"}}`',
    )

    dispatcher: Literal["apscheduler", "procrastinate"] = Field(
        "apscheduler", description="What wakes the engine"
    )
    worker_concurrency: int = Field(10, ge=1, le=1000, description="Steps at a time, per process")
    lease_seconds: int = Field(
        int(LEASE.total_seconds()), ge=3, description="How long a step stays its worker's"
    )
    shutdown_grace: Duration = Field(
        SHUTDOWN_GRACE, description="How long running steps may go on after SIGTERM"
    )
    window_grace: Duration = Field(
        WINDOW_GRACE, description="How long a maintenance window without an end stays open"
    )
    retention: Duration | None = Field(
        None, description="Age at which events and logs are deleted; without it they are kept"
    )

    terraform_bin: str | None = Field(
        None, description="`terraform` or `tofu`; default: found on PATH"
    )
    terraform_module_allow: Names = Field(
        (), description="Module sources outside the catalog that may be used (prefixes)"
    )
    outbound_allow: Names = Field(
        (), description="Hosts, addresses and networks that documents may call although private"
    )

    github_api_url: str = Field("https://api.github.com", description="GitHub's REST API")
    github_token: SecretStr | None = Field(None, description="Token for GitHub")
    github_app_id: str | None = Field(None, description="GitHub App, instead of a token")
    github_app_key: SecretStr | None = Field(None, description="Private key (PEM) of that App")
    github_webhook_secret: SecretStr | None = Field(None, description="Of `/webhooks/github`")
    jira_webhook_secret: SecretStr | None = Field(None, description="Of `/webhooks/jira`")
    ticket_webhook_secret: SecretStr | None = Field(None, description="Of `/webhooks/tickets`")

    jira_url: str | None = Field(None, description="Jira's address")
    jira_user: str | None = Field(None, description="Who we are there")
    jira_token: SecretStr | None = Field(None, description="API token of that user")
    servicenow_url: str | None = Field(None, description="ServiceNow's address")
    servicenow_user: str | None = Field(None, description="Who we are there")
    servicenow_password: SecretStr | None = Field(None, description="Password of that user")
    smtp_host: str | None = Field(None, description="Mail server for email tickets")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port")
    smtp_from: str | None = Field(None, description="Sender's address")
    smtp_user: str | None = Field(None, description="Who we are there; none: no login")
    smtp_password: SecretStr | None = Field(None, description="Password of that user")
    smtp_tls: bool = Field(True, description="STARTTLS is required")

    secrets_dir: Path | None = Field(
        None, description="Folder with one file a key, which `secrets.<key>` in documents reads"
    )
    secrets_allow: NamesByKey = Field(
        default_factory=dict,
        description="Which owners or paths may use which key: `{key: [owner or path]}`; none: all",
    )
    encryption_keys: Keys = Field(
        (),
        description="Fernet keys; the first encrypts, all decrypt. The embedded set-up makes one",
    )

    log_format: Literal["json", "console"] | None = Field(
        None, description="Default: `console` on a terminal, else `json`"
    )
    otlp_endpoint: str | None = Field(
        None,
        description="Collector of traces (OTLP over HTTP), `http://collector:4318`; "
        "`OTEL_EXPORTER_OTLP_ENDPOINT` is read too",
    )
    metrics_allow: Networks = Field(
        (),
        description="Addresses and networks that may read `/metrics`, and the reasons in `/readyz`; "
        "default: this machine's own",
    )
    http_port: int = Field(8000, ge=0, le=65535, description="Port for health, webhooks, Slack")
    public_url: str | None = Field(None, description="Our address as people and Slack reach it")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Ours instead of the built-in ones, which know neither `*_FILE` nor did-you-mean."""
        return init_settings, _Environment(settings_cls), _ConfigFile(settings_cls)

    def origins(self) -> dict[str, str]:
        """Say for each setting where its value comes from."""
        environment = from_environment(Settings.model_fields, os.environ)
        file = config_path(self.config)
        in_file = from_file(file, Settings.model_fields)
        return {
            name: origin(name, self.model_fields_set, environment, in_file, file)
            for name in type(self).model_fields
        }

    def group_teams(self) -> dict[str, str]:
        """Return the teams that user groups stand for, by the group's handle or id."""
        return {
            team.usergroup.removeprefix("@"): name
            for name, team in self.teams.items()
            if team.usergroup
        }

    def engine_config(
        self, database_url: str, encryption_keys: tuple[str, ...] | None = None
    ) -> EngineConfig:
        """Return what the engine must know, on this database and with these keys if given."""
        direct = self.database_direct_url
        return EngineConfig(
            database_url=database_url,
            database_direct_url=direct.get_secret_value() if direct else None,
            data_dir=self.data_dir,
            catalog_url=self.catalog_url,
            catalog_branch=self.catalog_branch,
            catalog_token=clear(self.catalog_token),
            catalog_sync_interval=self.catalog_sync_interval,
            dispatcher=self.dispatcher,
            worker_concurrency=self.worker_concurrency,
            lease=timedelta(seconds=self.lease_seconds),
            shutdown_grace=self.shutdown_grace,
            window_grace=self.window_grace,
            terraform_bin=self.terraform_bin,
            terraform_module_allow=self.terraform_module_allow,
            outbound_allow=self.outbound_allow,
            secrets_dir=self.secrets_dir,
            secrets_allow=self.secrets_allow,
            encryption_keys=encryption_keys
            or tuple(key.get_secret_value() for key in self.encryption_keys),
            admins=frozenset(self.admins),
            teams={name: frozenset(team.members) for name, team in self.teams.items()},
            notify_channel=self.notify_channel,
            public_url=self.public_url,
            otlp_endpoint=self.otlp_endpoint,
            retention=self.retention,
            github=GitHubSettings(
                api_url=self.github_api_url,
                token=clear(self.github_token),
                app_id=self.github_app_id,
                app_key=clear(self.github_app_key),
            ),
            tickets=TicketSystemSettings(
                jira_url=self.jira_url,
                jira_user=self.jira_user,
                jira_token=clear(self.jira_token),
                servicenow_url=self.servicenow_url,
                servicenow_user=self.servicenow_user,
                servicenow_password=clear(self.servicenow_password),
                smtp_host=self.smtp_host,
                smtp_port=self.smtp_port,
                smtp_from=self.smtp_from,
                smtp_user=self.smtp_user,
                smtp_password=clear(self.smtp_password),
                smtp_tls=self.smtp_tls,
            ),
        )

    def secret_values(self) -> list[str]:
        """Every secret that is set, in clear, for redaction by value."""
        secrets: list[str] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            found = value if isinstance(value, tuple) else (value,)
            secrets += [s.get_secret_value() for s in found if isinstance(s, SecretStr)]
        return [*secrets, *(part for secret in secrets for part in _passwords(secret))]


def load(*, config: Path | None = None, database_url: str | None = None) -> Settings:
    """Return the settings, with what the command line gave.

    ConfigurationError names each setting that is wrong, and where its value came from.
    """
    given: dict[str, Any] = {"config": config, "database_url": database_url}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _told(error, config) from error


def _passwords(address: str) -> list[str]:
    """Return the password of a database's address by itself, as written and as meant.

    Libraries tell addresses in words of their own, and the whole one is not found in them.
    """
    found = re.match(r"\w+://[^/@]*?:([^/@]+)@", address)
    found = found or re.search(r"\bpassword\s*=\s*'?([^\s']+)", address)
    return [found[1], unquote(found[1])] if found else []


def clear(secret: SecretStr | None) -> str | None:
    """Return the text of a secret setting."""
    return secret.get_secret_value() if secret else None


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for every `PAO_*` variable that is no setting, with did-you-mean."""
    names = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    known = {*names, *(f"{name}_FILE" for name in names)}
    return [
        f"{name} is not a setting.{did_you_mean(name, known)}"
        for name in sorted(environ if environ is not None else os.environ)
        if name.startswith(PREFIX) and name not in known
    ]


class _Source(PydanticBaseSettingsSource):
    """A source that gives all its values at once."""

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002
        field_name: str,
    ) -> tuple[Any, str, bool]:
        return None, field_name, False


class _Environment(_Source):
    def __call__(self) -> dict[str, Any]:
        return from_environment(Settings.model_fields, os.environ)


class _ConfigFile(_Source):
    def __call__(self) -> dict[str, Any]:
        return from_file(config_path(self.current_state.get("config")), Settings.model_fields)


def _told(error: ValidationError, config: Path | None) -> ConfigurationError:
    """Name each setting that is wrong, and where its value came from; never the value."""
    environment = from_environment(Settings.model_fields, os.environ)
    file = config_path(config or environment.get("config"))
    in_file = from_file(file, Settings.model_fields)
    told = []
    for finding in error.errors(include_url=False, include_input=False):
        name = str(finding["loc"][0])
        where = origin(name, {name}, environment, in_file, file)
        variable = PREFIX + name.upper()
        source = "" if where == variable else f" (from {where})"
        told.append(f"{variable}{source}: {_plain(finding['msg'])}")
    return ConfigurationError(
        "A setting is wrong" if len(told) == 1 else "Some settings are wrong",
        "; ".join(told),
        "See `pao config reference` for what each may be",
    )


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input should be ")
