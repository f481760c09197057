"""How a team is reached in Slack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.messages.text import escaped, is_slack_user, mention

MENTIONED: Final = 10
"""People of a team without a user group who are mentioned, or written to, one by one."""


@dataclass(frozen=True, slots=True)
class Teams:
    """How teams are reached in Slack: by a user group, else by their members.

    Both are keyed by the team's name; `groups` gives Slack's id, by the group's handle too.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def mention(self, team: str) -> str:
        """Mention a team so that its members are notified; name it where that is not possible."""
        name = team.removeprefix("@")
        if name in self.groups:
            return f"<!subteam^{self.groups[name]}>"
        members = sorted(self.members.get(name, ()))[:MENTIONED]
        return " ".join(mention(one) for one in members) or f"*{escaped(name, 100)}*"

    def people(self, team: str) -> list[str]:
        """Return the first members of a team who can be written to."""
        known = self.members.get(team.removeprefix("@"), frozenset())
        return sorted(one for one in known if is_slack_user(one))[:MENTIONED]
