"""The manifest against what the app listens to and calls, both ways, and against Slack's schema."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from click.testing import CliRunner
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot.cli.manifest import manifest as command
from bot.manifest import manifest
from engine import InvalidInput
from handlers.fallbacks import ANY

ROOT = Path(handlers.__file__).parent.parent

SCOPE_OF_METHOD = {
    "chat_postMessage": "chat:write",
    "chat_update": "chat:write",
    "chat_postEphemeral": "chat:write",
    "chat_getPermalink": None,
    "users_info": "users:read",
    "usergroups_list": "usergroups:read",
    "views_open": None,
    "views_push": None,
    "views_update": None,
    "views_publish": None,
    "apps_connections_open": None,
    "auth_test": None,
}
"""Web API method -> the scope that it needs (docs.slack.dev/reference/methods)."""

SCOPE_OF_EVENT = {
    "app_home_opened": None,
    "user_change": "users:read",
    "subteam_members_changed": "usergroups:read",
}
"""Event -> the scope that it needs (docs.slack.dev/reference/events)."""

BESIDES = {
    "commands": "the slash command and the shortcut",
    "chat:write.public": "cards go to channels that the bot is no member of",
    "users:read.email": "the profile's e-mail is kept with the request",
}
"""Scopes that no method or event shows, and what needs them."""


WEB_API = {name for name in vars(AsyncWebClient) if re.fullmatch(r"[a-z]+_[a-zA-Z_]+", name)}


class Listening:
    """Takes the place of a Bolt app while listeners are registered, and notes for what."""

    def __init__(self) -> None:
        self.listens: dict[str, set[str]] = {}

    def __getattr__(self, kind: str) -> Callable[[Any], Callable[[Any], Any]]:
        def constrained(constraint: Any) -> Callable[[Any], Any]:
            if constraint is not ANY:
                self.listens.setdefault(kind, set()).add(constraint)
            return lambda listener: listener

        return constrained


class AnyServices:
    """Stands for services that no listener touches before it is called."""


@pytest.fixture(scope="module")
def listens() -> dict[str, set[str]]:
    app = Listening()
    handlers.register(app, AnyServices())  # type: ignore[arg-type]
    return app.listens


def methods_called() -> Iterator[str]:
    """Yield the Web API methods that the bot's own code names."""
    for folder in ("bot", "handlers"):
        for file in (ROOT / folder).rglob("*.py"):
            if "playground" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in WEB_API:
                    yield node.attr


def test_every_command_is_listened_to_and_declared(listens: dict[str, set[str]]) -> None:
    declared = {one["command"] for one in manifest()["features"]["slash_commands"]}

    assert declared == listens["command"]


def test_every_shortcut_is_listened_to_and_declared(listens: dict[str, set[str]]) -> None:
    declared = {one["callback_id"] for one in manifest()["features"]["shortcuts"]}

    assert declared == listens["shortcut"]


def test_every_event_is_listened_to_and_declared(listens: dict[str, set[str]]) -> None:
    declared = set(manifest()["settings"]["event_subscriptions"]["bot_events"])

    assert declared == listens["event"] == set(SCOPE_OF_EVENT)


def test_buttons_and_forms_need_interactivity(listens: dict[str, set[str]]) -> None:
    assert listens["action"]
    assert listens["view"]
    assert manifest()["settings"]["interactivity"]["is_enabled"]


def test_the_scopes_are_those_that_are_used_and_no_others() -> None:
    called = set(methods_called())
    needed = {SCOPE_OF_METHOD[method] for method in called} | set(SCOPE_OF_EVENT.values())

    declared = set(manifest()["oauth_config"]["scopes"]["bot"])

    assert declared == (needed - {None}) | set(BESIDES)


def text(longest: int, shortest: int = 1) -> dict[str, Any]:
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def record(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


FLAG = {"type": "boolean"}
ADDRESS = {"type": "string", "pattern": "^https?://", "maxLength": 3000}

SCHEMA = record(
    ["display_information"],
    _metadata=record([], major_version={"const": 2}, minor_version={"type": "integer"}),
    display_information=record(
        ["name"],
        name=text(35),
        description=text(140),
        background_color={"type": "string", "pattern": "^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$"},
        long_description=text(4000, 175),
    ),
    features=record(
        [],
        app_home=record(
            [],
            home_tab_enabled=FLAG,
            messages_tab_enabled=FLAG,
            messages_tab_read_only_enabled=FLAG,
        ),
        bot_user=record(["display_name"], display_name=text(80), always_online=FLAG),
        shortcuts={
            "type": "array",
            "minItems": 1,
            "maxItems": 10,
            "items": record(
                ["name", "type", "callback_id", "description"],
                name=text(24),
                type={"enum": ["message", "global"]},
                callback_id=text(255),
                description=text(150),
            ),
        },
        slash_commands={
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": record(
                ["command", "description"],
                command={**text(32, 2), "pattern": "^/"},
                url=ADDRESS,
                description=text(2000),
                usage_hint=text(1000),
                should_escape=FLAG,
            ),
        },
    ),
    oauth_config=record(
        [],
        scopes=record(
            [], bot={"type": "array", "uniqueItems": True, "maxItems": 255, "items": text(255)}
        ),
    ),
    settings=record(
        [],
        event_subscriptions=record(
            [],
            request_url=ADDRESS,
            bot_events={"type": "array", "uniqueItems": True, "maxItems": 100, "items": text(255)},
        ),
        interactivity=record(
            ["is_enabled"],
            is_enabled=FLAG,
            request_url=ADDRESS,
            message_menu_options_url=ADDRESS,
        ),
        org_deploy_enabled=FLAG,
        socket_mode_enabled=FLAG,
        token_rotation_enabled=FLAG,
    ),
)
"""What Slack's manifest schema 2.0.0 says of the parts that we use."""


@pytest.mark.parametrize("url", [None, "https://pao.example.com"])
def test_the_manifest_is_valid_by_slacks_schema(url: str | None) -> None:
    jsonschema_rs.validator_for(SCHEMA).validate(manifest(url))


def test_over_http_every_request_goes_to_one_address() -> None:
    made = manifest("https://pao.example.com/")

    address = "https://pao.example.com/slack/events"
    assert made["settings"]["event_subscriptions"]["request_url"] == address
    assert made["settings"]["interactivity"]["request_url"] == address
    assert made["settings"]["interactivity"]["message_menu_options_url"] == address
    assert [one["url"] for one in made["features"]["slash_commands"]] == [address]
    assert made["settings"]["socket_mode_enabled"] is False


@pytest.mark.parametrize(
    "url", ["http://pao.example.com", "pao.example.com", "https://", "ftp://x"]
)
def test_an_address_that_slack_cannot_call_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="https"):
        manifest(url)


def test_the_command_prints_the_bare_manifest() -> None:
    printed = CliRunner().invoke(command, [])
    as_json = CliRunner().invoke(command, ["--output", "json", "--url", "https://pao.example.com"])

    assert yaml.safe_load(printed.stdout) == manifest()
    assert json.loads(as_json.stdout) == manifest("https://pao.example.com")
