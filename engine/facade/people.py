"""Who somebody is, and the forms that they have under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.facade.core import Core
from engine.people import directory
from engine.people.directory import Profile
from engine.people.permissions import Action
from engine.requests import views
from engine.requests.pinned import components_of, document_of
from engine.results import (
    Actor,
    CatalogDetails,
    ComponentForm,
    Source,
)
from engine.store import (
    form_sessions,
)
from engine.store.pool import (
    Connection,
    transaction,
)

FORM_PURPOSE = "form"


class PeopleVerbs(Core):
    """Who somebody is, and the forms that they have under way."""

    async def actor(self, user_id: str, *, source: Source, audit_name: str | None = None) -> Actor:
        """Return who acts, with the teams and rights of this moment; NotFound when unknown."""
        async with transaction(self._pool) as connection:
            return await directory.find_actor(
                connection, self.config, user_id, source=source, audit_name=audit_name
            )

    async def remember_person(self, profile: Profile) -> None:
        """Keep what Slack says of a person."""
        async with transaction(self._pool) as connection:
            await directory.remember(connection, profile)

    async def person_is_stale(self, user_id: str) -> bool:
        """Say whether Slack must be asked again about a person."""
        async with transaction(self._pool) as connection:
            return await directory.is_stale(connection, user_id)

    async def pinned_form(
        self, actor: Actor, request_id: str
    ) -> tuple[CatalogDetails, Sequence[ComponentForm]]:
        """Return a request's document, and its components, as they stood when it was made.

        For the form of a resume: asks for the right to do that.
        """

        async def read(connection: Connection) -> tuple[CatalogDetails, Sequence[ComponentForm]]:
            row = await views.find(connection, actor, request_id, Action.RESUME)
            mark = row.request_id
            return document_of(row.plan, mark=mark), components_of(row.plan, mark=mark)

        return await self._transact(read, actor)

    async def keep_form(
        self,
        actor: Actor,
        subject: str,
        state: Mapping[str, Any],
        secret_values: Mapping[str, Any],
        session_id: str | None = None,
    ) -> str:
        """Keep a form under way for a day, secrets encrypted; return its id."""
        sealed = None
        if secret_values:
            sealed = self._cipher.encrypt(dict(secret_values), _form_purpose(actor, subject))[0]
        async with transaction(self._pool) as connection:
            if session_id is not None and await form_sessions.update(
                connection, session_id, actor.user_id, state, sealed
            ):
                return session_id
            return await form_sessions.insert(connection, actor.user_id, subject, state, sealed)

    async def kept_form(
        self, actor: Actor, session_id: str
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
        """Return (id, state, secrets) of a form under way; None when it expired."""
        async with transaction(self._pool) as connection:
            return self._opened(
                actor, await form_sessions.find(connection, session_id, actor.user_id)
            )

    async def form_draft(
        self, actor: Actor, subject: str
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
        """Return (id, state, secrets) of the form about `subject` that the person touched last."""
        async with transaction(self._pool) as connection:
            found = await form_sessions.latest(connection, actor.user_id, subject)
            return self._opened(actor, found)

    async def forget_forms(self, actor: Actor, subject: str) -> None:
        """Forget the person's forms about `subject`."""
        async with transaction(self._pool) as connection:
            await form_sessions.delete(connection, actor.user_id, subject)

    def _opened(
        self, actor: Actor, session: form_sessions.FormSession | None
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
        if session is None:
            return None
        clear: Mapping[str, Any] = {}
        if session.ciphertext:
            purpose = _form_purpose(actor, session.subject)
            clear = self._cipher.decrypt(session.ciphertext, purpose)
        return session.id, session.state, clear


def _form_purpose(actor: Actor, subject: str) -> str:
    return f"{FORM_PURPOSE}:{actor.user_id}:{subject}"
