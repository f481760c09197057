"""`pao config`: what is set, from where, and what may be set."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

from bot.cli.command import Invocation, group
from bot.setting_sources import PREFIX, UNPREFIXED
from bot.settings import Settings
from engine.results import SECRET_DOTS

config = group("config", "The settings, and where each comes from.")


@config.command("show")
def show(invocation: Invocation) -> None:
    """Print every setting with its value (secrets as dots) and where the value comes from."""
    settings = invocation.settings
    origins = settings.origins()
    rows = [
        {"name": name, "value": _shown(getattr(settings, name)), "source": origins[name]}
        for name in Settings.model_fields
    ]
    invocation.output.rows(rows, ["name", "value", "source"])


@config.command("reference")
def reference(invocation: Invocation) -> None:
    """Print the table of all settings for the docs, as Markdown."""
    invocation.output.record({"markdown": markdown()}, text=markdown())


def markdown() -> str:
    """Return docs/settings.md."""
    rows = [
        f"| `{_names(name)}` | {_default(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Printed by `pao config reference`; a test holds this page to it. Each setting is an",
            "environment variable, or in `pao.yml` its name in lower case without `PAO_`. With",
            "`_FILE` added to its name a variable names a file that holds the value.",
            "",
            "| setting | default | what it is |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def _names(name: str) -> str:
    prefixed = PREFIX + name.upper()
    return f"{prefixed}` or `{name.upper()}" if name in UNPREFIXED else prefixed


def _default(name: str) -> str:
    if name == "data_dir":  # depends on who starts us; its description says how
        return ""
    value = Settings.model_fields[name].get_default(call_default_factory=True)
    return "" if value in (None, (), {}) else f"`{_shown(value)}`"


def _shown(value: Any) -> Any:
    from datetime import timedelta

    from engine.durations import format_duration

    match value:
        case SecretStr():
            return SECRET_DOTS
        case timedelta():
            return format_duration(value.total_seconds())
        case tuple():
            return [_shown(item) for item in value]
        case dict():
            return {key: _shown(item) for key, item in value.items()}
        case BaseModel():
            return value.model_dump(mode="json", exclude_defaults=True)
    return value
