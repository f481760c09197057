"""The types of settings: read from text as the environment gives it, or from a file's own structure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode

from engine.durations import parse_duration


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return timedelta(seconds=parse_duration(value))


def _structure(value: object) -> object:
    """Read a mapping from JSON, where it comes from the environment."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error


def _list(value: object) -> object:
    """Split at commas what is not a list, or JSON of one."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _structure(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _lists(value: object) -> object:
    found = _structure(value)
    if isinstance(found, Mapping):
        return {key: _list(item) for key, item in found.items()}
    return found


Duration: TypeAlias = Annotated[timedelta, NoDecode, BeforeValidator(_duration)]
Names: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]
Keys: TypeAlias = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_list)]
NamesByKey: TypeAlias = Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_lists)]


def _networks(value: object) -> object:
    found = _list(value)
    if isinstance(found, list):
        for network in found:
            try:
                ip_network(str(network), strict=False)
            except ValueError as error:
                raise ValueError(f"{network} is neither an address nor a network") from error
    return found


Networks: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]


class Team(BaseModel):
    """A team: people by Slack user id, and a Slack user group (handle or id) that stands for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: Names = ()
    usergroup: str | None = None


def _teams(value: object) -> object:
    found = _structure(value)
    if not isinstance(found, Mapping):
        return found
    return {
        name: team if isinstance(team, Mapping | Team) else {"members": team}
        for name, team in found.items()
    }


Teams: TypeAlias = Annotated[dict[str, Team], NoDecode, BeforeValidator(_teams)]
