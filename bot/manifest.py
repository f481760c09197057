"""The Slack app manifest: `manifest.yml`, and the same for Slack over HTTP.

The file stands at the repository's root and is part of the wheel, beside this package. Its format
is Slack's manifest schema, version 2 (docs.slack.dev/reference/app-manifest).
"""

from copy import deepcopy
from typing import Any, Final

import yaml

from bot.shipped import shipped
from engine import InvalidInput

FILE: Final = "manifest.yml"
EVENTS_PATH: Final = "/slack/events"
"""Everything that Slack sends over HTTP goes here: commands, interactions, events."""

Manifest = dict[str, Any]


def manifest(url: str | None = None) -> Manifest:
    """Return the manifest; with `url`, the public address of the bot, for Slack over HTTP.

    InvalidInput where `url` is not an https address; ConfigurationError where the file is missing.
    """
    text = shipped(FILE).read_text("utf-8")
    found: Manifest = yaml.safe_load(text)
    return found if url is None else over_http(found, url)


def over_http(found: Manifest, url: str) -> Manifest:
    """Return the manifest with its request URLs, and without Socket Mode."""
    address = _checked(url) + EVENTS_PATH
    made = deepcopy(found)
    settings = made["settings"]
    settings["socket_mode_enabled"] = False
    settings["event_subscriptions"]["request_url"] = address
    settings["interactivity"]["request_url"] = address
    settings["interactivity"]["message_menu_options_url"] = address
    for command in made["features"]["slash_commands"]:
        command["url"] = address
    return made


def _checked(url: str) -> str:
    if not url.startswith("https://") or len(url) < len("https://") + 3 or " " in url:
        raise InvalidInput(
            f"{url} is not an address that Slack can call",
            "it must begin with https://",
            "Give the public address of the bot, as https://pao.example.com",
            field="url",
        )
    return url.rstrip("/")
