"""What attempts wrote: as text, and as a page by a link that is signed for one person.

A link proves who asked for it, not what they may see: that is asked again when it is opened, so
whoever lost their rights since sees nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

from engine.errors import Forbidden
from engine.facade.core import Core
from engine.links import Link, Signer
from engine.people import directory
from engine.people.directory import OPERATOR_PREFIX
from engine.people.permissions import Action, Denied, hidden
from engine.requests import views
from engine.results import Actor, AttemptLog, AttemptLogPage, Source
from engine.store import logs
from engine.store.pool import Connection, transaction

LINK_LIFETIME: Final = timedelta(hours=1)
LONGEST_PAGE: Final = 1_000_000
"""Characters of a log that a page shows: its end, where the errors are."""


class LogVerbs(Core):
    """What attempts wrote."""

    async def logs(self, actor: Actor, request_id: str, step: str) -> list[AttemptLog]:
        """Return the log of a step, one text an attempt, each with a link for the person."""

        async def read(connection: Connection) -> list[AttemptLog]:
            row = await views.find(connection, actor, request_id)
            found = await views.logs(connection, row.id, step)
            ids = await logs.attempts_of_step(connection, row.id, step)
            until = int(await logs.moment(connection) + LINK_LIFETIME.total_seconds())
            return [
                replace(one, url=self._log_url(ids[one.attempt_number], actor, until))
                for one in found
            ]

        return await self._transact(read, actor)

    async def attempt_log(self, actor: Actor, attempt_id: str) -> AttemptLogPage:
        """Return one attempt with the end of its log; NotFound also where one may not see it."""

        async def read(connection: Connection) -> AttemptLogPage:
            id_ = _uuid(attempt_id)
            row = await logs.attempt(connection, id_) if id_ else None
            if id_ is None or row is None:
                raise Denied(Action.SEE_REQUEST, attempt_id, hidden("Log", attempt_id))
            await views.find(connection, actor, row.request_id)
            pieces = await logs.end_of_log(connection, id_, LONGEST_PAGE)
            text = "".join(pieces)
            return AttemptLogPage(
                request_id=row.request_id,
                title=row.title,
                step_id=row.step_id,
                step_name=row.step_name,
                attempt_number=row.attempt_number,
                status=row.status,
                started_at=row.started_at,
                completed_at=row.completed_at,
                error_message=row.error_message,
                text=text,
                left_out=row.length - len(text),
            )

        return await self._transact(read, actor)

    async def link_holder(self, attempt_id: str, given: Mapping[str, str]) -> Actor:
        """Return for whom a link was signed, with the rights of now.

        `given`: the address's parameters. Forbidden where the link is not ours, was changed or has
        expired; NotFound where the person is not known any more.
        """
        person, until = given.get("person", ""), given.get("until", "")
        number = int(until) if until.isdecimal() and len(until) <= 12 else 0
        link = Link(attempt_id, person, number)
        async with transaction(self._pool) as connection:
            if not self._signer.knows(link, given.get("signature", "")):
                raise _no_link("it is not signed, or was changed")
            if number < await logs.moment(connection):
                raise _no_link("it has expired")
            source: Source = "cli" if person.startswith(OPERATOR_PREFIX) else "slack"
            return await directory.find_actor(connection, self.config, person, source=source)

    def _log_url(self, attempt_id: UUID, actor: Actor, until: int) -> str | None:
        base = self.config.public_url
        if not base or not self._signer.can_sign:
            return None
        link = Link(str(attempt_id), actor.user_id, until)
        parameters = {"person": link.person, "until": until, "signature": self._signer.sign(link)}
        return f"{base.rstrip('/')}/logs/{quote(link.what)}?{urlencode(parameters)}"

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self.config.encryption_keys)


def _no_link(why: str) -> Forbidden:
    return Forbidden(
        "This link opens nothing",
        why,
        "Ask for a new one: `/pao logs` in Slack, `pao request logs` on the command line",
        code="link_refused",
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
