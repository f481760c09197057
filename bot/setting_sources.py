"""Where settings come from: the environment, files that it names, and the configuration file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from engine.catalog.suggest import did_you_mean
from engine.errors import ConfigurationError

PREFIX = "PAO_"
DEFAULT_FILE = "pao.yml"
UNPREFIXED = ("slack_bot_token", "slack_app_token", "slack_signing_secret")
"""Settings that are also read under their name alone, as Bolt's users know them."""

STANDARD = {"otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Settings that are also read under a name that other tools share."""


def from_environment(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of these names that the environment gives."""
    found: dict[str, Any] = {}
    for name in names:
        value = _variable(name, environ)
        if value is not None:
            found[name] = value
    return found


def _variable(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of one setting in the environment, read from its file if it names one."""
    variable = PREFIX + name.upper()
    value = environ.get(variable) or environ.get(_other_name(name) or "")
    file = environ.get(f"{variable}_FILE")
    if value and file:
        raise ConfigurationError(
            f"{variable} and {variable}_FILE are both set", "only one can count", "Unset one"
        )
    if not file:
        return value or None
    try:
        return Path(file).read_text("utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The file {file}, which {variable}_FILE names, cannot be read",
            str(getattr(error, "strerror", None) or error),
            "Check its path and rights",
        ) from error


def _other_name(name: str) -> str | None:
    """Return the name without our prefix under which a setting is read too."""
    return name.upper() if name in UNPREFIXED else STANDARD.get(name)


def config_path(given: object) -> Path | None:
    """Return the configuration file: one that was named must exist, the default one may."""
    if given:
        return Path(str(given)).expanduser()
    default = Path(DEFAULT_FILE)
    return default if default.is_file() else None


def from_file(path: Path | None, names: Iterable[str]) -> dict[str, Any]:
    """Return what a configuration file gives; ConfigurationError for what is none of `names`."""
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ConfigurationError(
            f"The configuration file {path} cannot be read", reason, "Mend it or its path"
        ) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"The configuration file {path} is not a mapping",
            "its top level must be `name: value` lines",
            "See `pao config reference`",
        )
    values = {str(key).lower(): value for key, value in document.items()}
    _refuse_unknown(values, [name for name in names if name != "config"], path)
    if path.stat().st_mode & (stat.S_IWOTH):
        raise ConfigurationError(
            f"The configuration file {path} can be written by everybody",
            "then anybody could make this program theirs",
            f"Run chmod o-w {path}",
        )
    return {name: value for name, value in values.items() if value is not None}


def _refuse_unknown(names: Iterable[str], known: Sequence[str], path: Path) -> None:
    told = [
        f"{name} is not a setting.{did_you_mean(name, known)}"
        for name in names
        if name not in known
    ]
    if told:
        raise ConfigurationError(
            f"The configuration file {path} has a mistake", " ".join(told), "", code="unknown_key"
        )


def origin(
    name: str,
    is_set: set[str],
    environment: Mapping[str, Any],
    in_file: Mapping[str, Any],
    file: Path | None,
) -> str:
    """Say where a setting's value comes from."""
    if name not in is_set:
        return "default"
    if name in environment:
        variable = PREFIX + name.upper()
        other = _other_name(name)
        if other and not os.environ.get(variable):
            return other
        return f"{variable}_FILE" if os.environ.get(f"{variable}_FILE") else variable
    return str(file) if name in in_file else "command line"
