"""What the workspace knows of the installed app: its commands, shortcuts, scopes and events.

Read from a Slack app manifest where there is one, so that a scope or an event that the manifest
forgot is missing in the playground too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command; `name` with its slash."""

    name: str
    description: str = ""
    usage_hint: str = ""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A global shortcut."""

    name: str
    callback_id: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """The app as installed; a scope or an event that is not listed is refused or not sent."""

    name: str
    commands: tuple[Command, ...]
    shortcuts: tuple[Shortcut, ...]
    scopes: frozenset[str]
    events: frozenset[str]

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Installation:
        """Read a manifest (format 2.0.0) that has been parsed from YAML or JSON."""
        features, settings = manifest.get("features", {}), manifest.get("settings", {})
        oauth = manifest.get("oauth_config", {})
        return cls(
            name=manifest["display_information"]["name"],
            commands=tuple(
                Command(c["command"], c.get("description", ""), c.get("usage_hint", ""))
                for c in features.get("slash_commands", [])
            ),
            shortcuts=tuple(
                Shortcut(s["name"], s["callback_id"], s.get("description", ""))
                for s in features.get("shortcuts", [])
                if s.get("type") == "global"
            ),
            scopes=frozenset(oauth.get("scopes", {}).get("bot", [])),
            events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
        )


def default_installation() -> Installation:
    """Return an app with one command and everything that the playground can grant and send."""
    return Installation(
        name="PAO",
        commands=(Command("/pao", "Order and run services", "[catalog | request | help]"),),
        shortcuts=(Shortcut("Request a service", "request_service", "Pick from the catalog"),),
        scopes=frozenset(
            {
                "channels:join",
                "channels:read",
                "chat:write",
                "chat:write.public",
                "commands",
                "im:write",
                "usergroups:read",
                "users:read",
                "users:read.email",
            }
        ),
        events=frozenset(
            {
                "app_home_opened",
                "app_mention",
                "message.channels",
                "message.im",
                "subteam_members_changed",
                "user_change",
            }
        ),
    )
