"""check_backup_status: a backup that is recent enough, as an address or a backup provider says.

    - check: check_backup_status
      template: {url: "https://backups/{{ instance.id }}", json_path: "$.finished_at", max_age: 24h}

With `max_age` the value is the time of the last backup, else a word that says how it ended. Without
a template the plug-ins of `pao.backup_providers` are asked; where there is none, nobody can know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from engine.checks.base import CheckFacts
from engine.checks.registry import BACKUP_PROVIDERS
from engine.durations import format_duration
from engine.errors import InvalidInput, quoted
from engine.jsonpaths import NoMatch, first
from engine.outbound import Outbound, failure_of
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, Seconds, read_template
from engine.verifications.backup import COMPLETE

NO_PROVIDER: Final = "no backup provider"


class BackupTemplate(RenderedTemplate):
    """Where the last backup is asked for, and how old it may be (seconds)."""

    url: str
    json_path: str = "$.status"
    max_age: Seconds | None = None


class BackupStatus:
    """There is a backup to go back to."""

    name: ClassVar[str] = "check_backup_status"

    def __init__(self, services: StepServices) -> None:
        self._outbound: Outbound = services.outbound
        self._providers = BACKUP_PROVIDERS.build(services)

    async def check(self, facts: CheckFacts, template: Mapping[str, Any] | None) -> str | None:
        """Ask the address of the template, or the backup providers."""
        if template is None:
            return await self._ask_providers(facts)
        asked = read_template(BackupTemplate, template, what="The backup check's template")
        response = await self._outbound.request("GET", asked.url)
        failure = failure_of(response)
        if failure is not None:
            return failure.message
        try:
            value = first(asked.json_path, response.json())
        except (NoMatch, InvalidInput, ValueError) as error:
            return f"the answer about the backup cannot be used: {error}"
        return _not_complete(value) if asked.max_age is None else _too_old(value, asked, facts.now)

    async def _ask_providers(self, facts: CheckFacts) -> str | None:
        if not self._providers.parts:
            return NO_PROVIDER
        for _, provider in sorted(self._providers.parts.items()):
            reason = await provider.check(facts, None)
            if reason is not None:
                return reason
        return None


def _not_complete(value: Any) -> str | None:
    said = str(value).strip().lower()
    return None if said in COMPLETE else f"the backup's status is {quoted(value)}"


def _too_old(value: Any, asked: BackupTemplate, now: datetime) -> str | None:
    moment = _moment(value)
    if moment is None:
        return f"{asked.json_path} is {quoted(value)}, which is not the time of a backup"
    age = now - moment
    if age <= timedelta(seconds=asked.max_age or 0):
        return None
    allowed = format_duration(asked.max_age or 0)
    return f"the last backup is from {moment:%Y-%m-%d %H:%M} UTC, and may be {allowed} old at most"


def _moment(value: Any) -> datetime | None:
    """Read a time as JSON gives it: ISO 8601, or seconds since 1970."""
    try:
        is_text = isinstance(value, str)
        moment = datetime.fromisoformat(value) if is_text else _of_seconds(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_seconds(value: Any) -> datetime:
    return datetime.fromtimestamp(float(value), UTC)
