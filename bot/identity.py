"""People and user groups from Slack into the engine's directory.

The engine decides what somebody may do; this part only keeps its picture of them true: asked of
Slack when it is older than 15 minutes, and renewed by `user_change` and group events at once, so
that a deactivated person loses everything with the event, and at the latest with the next question.
Concurrent questions for one person become one.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.messages.teams import Teams
from engine import Actor, Engine, NotFound, Profile, Unreachable

FRESH_SECONDS: Final = 15 * 60
"""How long a profile and the groups count as true without a question."""

log = structlog.get_logger(__name__)


class Identity:
    """Who acts. `actor` is all that listeners need; the rest answers Slack's events.

    `group_teams` maps a user group's handle or id to the team that the settings name for it; any
    other group's handle is its team's name.
    """

    def __init__(
        self,
        engine: Engine,
        client: AsyncWebClient,
        *,
        group_teams: Mapping[str, str] | None = None,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._engine = engine
        self._client = client
        self._group_teams = group_teams or {}
        self._fresh_seconds = fresh_seconds
        self._known: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._groups: dict[str, frozenset[str]] = {}
        self._group_ids: dict[str, str] = {}
        self._groups_read_at: float | None = None
        self._groups_lock = asyncio.Lock()

    async def actor(self, user_id: str) -> Actor:
        """Return the person with their rights of this moment.

        NotFound for an id that Slack does not know; Unreachable when Slack must be asked and does
        not answer.
        """
        await self._refresh(user_id)
        return await self._engine.actor(user_id, source="slack", audit_name=user_id)

    async def teams(self) -> tuple[str, ...]:
        """Return the names of all teams that user groups stand for."""
        await self._read_groups_again()
        return tuple(sorted(self._groups))

    async def reach(self) -> Teams:
        """Return how teams are reached; as Slack said last, where it does not answer now."""
        try:
            await self._read_groups_again()
        except Unreachable as away:
            log.info("groups_not_read", error=str(away))
        members = dict(self._groups)
        for team, declared in self._engine.config.teams.items():
            members[team] = members.get(team, frozenset()) | declared
        return Teams(self._group_ids, members)

    async def changed(self, user: Mapping[str, Any]) -> None:
        """Take over a profile that an event brought."""
        await self._remember(user)

    def groups_changed(self) -> None:
        """Ask for the groups, and for everybody's teams, the next time they are needed."""
        self._groups_read_at = None
        self._known.clear()

    async def _refresh(self, user_id: str) -> None:
        if self._is_fresh(self._known.get(user_id)):
            return
        async with self._locks[user_id]:
            if self._is_fresh(self._known.get(user_id)):
                return
            if await self._engine.person_is_stale(user_id):
                await self._remember(await self._profile(user_id))
            else:
                self._known[user_id] = time.monotonic()
        self._locks.pop(user_id, None)

    async def _profile(self, user_id: str) -> Mapping[str, Any]:
        try:
            answer = await self._client.users_info(user=user_id)
        except SlackApiError as refusal:
            if refusal.response.get("error") in {"user_not_found", "user_not_visible"}:
                raise NotFound(
                    f"Slack knows nobody with the id {user_id}", do="Check the id"
                ) from refusal
            raise _unreachable(refusal) from refusal
        except (OSError, TimeoutError) as broken:
            raise _unreachable(broken) from broken
        user: Mapping[str, Any] = answer["user"]
        return user

    async def _remember(self, user: Mapping[str, Any]) -> None:
        profile = user.get("profile", {})
        shown = profile.get("display_name") or profile.get("real_name") or user.get("real_name")
        await self._engine.remember_person(
            Profile(
                user_id=user["id"],
                name=shown or user.get("name") or user["id"],
                email=profile.get("email") or None,
                time_zone=user.get("tz") or None,
                teams=await self._teams(user["id"]),
                is_active=not user.get("deleted", False),
            )
        )
        self._known[user["id"]] = time.monotonic()

    async def _read_groups_again(self) -> None:
        async with self._groups_lock:
            if not self._is_fresh(self._groups_read_at):
                self._groups = await self._read_groups()
                self._groups_read_at = time.monotonic()

    async def _teams(self, user_id: str) -> tuple[str, ...]:
        await self._read_groups_again()
        return tuple(sorted(team for team, members in self._groups.items() if user_id in members))

    async def _read_groups(self) -> dict[str, frozenset[str]]:
        """Return the members of each team that a user group stands for."""
        try:
            answer = await self._client.usergroups_list(include_users=True)
        except SlackApiError as refusal:
            if refusal.response.get("error") in {"missing_scope", "paid_teams_only"}:
                log.warning("no_user_groups", error=refusal.response.get("error"))
                return {}
            raise _unreachable(refusal) from refusal
        except (OSError, TimeoutError) as broken:
            raise _unreachable(broken) from broken
        groups = [one for one in answer["usergroups"] if not one.get("date_delete")]
        self._group_ids = {
            name: str(group["id"])
            for group in groups
            for name in (str(group["handle"]), self._team_of(group))
        }
        return {self._team_of(group): frozenset(group.get("users", ())) for group in groups}

    def _team_of(self, group: Mapping[str, Any]) -> str:
        handle = str(group["handle"])
        return self._group_teams.get(handle) or self._group_teams.get(group["id"]) or handle

    def _is_fresh(self, at: float | None) -> bool:
        return at is not None and time.monotonic() - at < self._fresh_seconds


def _unreachable(error: Exception) -> Unreachable:
    told = error.response.get("error") if isinstance(error, SlackApiError) else str(error)
    return Unreachable(
        "Slack could not be asked who you are",
        str(told or type(error).__name__),
        "Try again in a moment",
    )
