"""What people do with requests, from the check of a form to their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from engine.catalog.fields import Option
from engine.catalog.options import Asking, source_of
from engine.catalog.values import FieldError
from engine.dispatch.drive import OnChange, drive, watch
from engine.errors import InvalidInput, Unreachable
from engine.execution.rehearsal import SECONDS, read_plan
from engine.execution.script import PlannedRequest
from engine.facade.core import Core, T, T_co, named
from engine.instances import operations
from engine.people.permissions import Action
from engine.requests import by_hand, decisions, ending, recovery, submit, views
from engine.requests.changes import Changes
from engine.requests.parameters import refuse
from engine.requests.pinned import secret_names
from engine.requests.sealed import opened
from engine.requests.submit import Intake, OptionsNeeded
from engine.requests.targets import seen
from engine.results import (
    Actor,
    Page,
    RequestSummary,
    RequestView,
    Submission,
)
from engine.store import (
    audit,
)
from engine.store.pool import (
    Connection,
    transaction,
)


class Judging(Protocol[T_co]):
    """Work in a transaction that judges values, and may find that sources must be asked first."""

    def __call__(self, connection: Connection, intake: Intake) -> Awaitable[T_co]:
        """Do it."""


class RequestVerbs(Core):
    """What people do with requests, from the check of a form to their end."""

    async def check(self, actor: Actor, submission: Submission) -> list[FieldError]:
        """Judge the values of a submission alone."""

        async def judge(connection: Connection, intake: Intake) -> list[FieldError]:
            target = await operations.target_of(connection, actor, submission)
            judged = await submit.check(connection, intake, actor, submission, target)
            return list(judged.errors)

        try:
            return await self._judged(actor, judge)
        except InvalidInput as refused:
            if not refused.errors:
                raise
            return list(refused.errors)

    async def submit(self, actor: Actor, submission: Submission) -> RequestView:
        """Make a request, once by its key; a dry run gives what it would be and do, and keeps nothing."""
        if submission.dry_run:
            return await self._rehearsed(actor, submission)

        async def write(connection: Connection, intake: Intake) -> RequestView:
            return await views.view(
                connection, await self._write(connection, intake, actor, submission)
            )

        return await self._judged(actor, write)

    async def _write(
        self, connection: Connection, intake: Intake, actor: Actor, submission: Submission
    ) -> UUID:
        target = await operations.target_of(connection, actor, submission)
        return await submit.submit(connection, intake, actor, submission, target)

    async def _rehearsed(self, actor: Actor, submission: Submission) -> RequestView:
        """Write the request, take it back, and say what its steps would do."""

        async def read(
            connection: Connection, intake: Intake
        ) -> tuple[RequestView, PlannedRequest]:
            request_id = await self._write(connection, intake, actor, submission)
            view = await views.view(connection, request_id)
            planned = await read_plan(connection, request_id)
            await connection.rollback()
            return view, planned

        view, planned = await self._judged(actor, read)
        if any(step.attempts for step in view.steps):  # the key's first request, and under way
            return view
        seconds = submission.dry_run_seconds
        return await self._rehearsals.rehearse(
            view, planned, SECONDS if seconds is None else seconds
        )

    async def request(self, actor: Actor, request_id: str) -> RequestView:
        """Return a request by its id, which may be shortened, as of one moment."""

        async def read(connection: Connection) -> tuple[UUID, RequestView]:
            row = await views.find(connection, actor, request_id)
            return row.id, await views.view(connection, row.id)

        id_, view = await self._at_one_moment(read, actor)
        late = any(one.status == "expired" for one in view.approvals)
        # Whoever looks sees what has become of it, though no worker runs.
        if late and await decisions.expire_overdue(self._pool, id_):
            _, view = await self._at_one_moment(read, actor)
        return view

    async def requests(
        self,
        actor: Actor,
        *,
        scope: str = "mine",
        status: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[RequestSummary]:
        """Return a page of requests, newest first: mine, my teams', all that I may see."""
        async with transaction(self._pool) as connection:
            return await views.page(
                connection, actor, scope=scope, status=status, limit=limit, cursor=cursor
            )

    async def cancel(self, actor: Actor, request_id: str) -> RequestView:
        """Cancel a request of which nothing was begun."""
        return await self._change(
            actor, lambda connection: ending.cancel(connection, actor, request_id)
        )

    async def abort(
        self,
        actor: Actor,
        request_id: str,
        reason: str | None = None,
        *,
        destroy: bool = False,
        completion: bool = False,
        cleanup: bool = True,
    ) -> RequestView:
        """End a request that runs or has failed."""
        return await self._change(
            actor,
            lambda connection: ending.abort(
                connection,
                self._cipher,
                actor,
                request_id,
                reason=reason,
                destroy=destroy,
                completion=completion,
                cleanup=cleanup,
            ),
        )

    async def resume(
        self,
        actor: Actor,
        request_id: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        texts: frozenset[str] = frozenset(),
        skip_verification: bool = False,
        sequence_timeout: float | None = None,
    ) -> RequestView:
        """Go on from all failed steps, optionally with changed parameters."""
        changes = Changes(parameters or {}, texts, skip_verification, sequence_timeout)

        async def go_on(connection: Connection, intake: Intake) -> RequestView:
            id_ = await recovery.resume(connection, intake, actor, request_id, changes)
            return await views.view(connection, id_)

        return await self._judged(actor, go_on)

    async def retry(
        self,
        actor: Actor,
        request_id: str,
        step: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        texts: frozenset[str] = frozenset(),
    ) -> RequestView:
        """Try a failed step again."""
        changes = Changes(parameters or {}, texts)

        async def try_again(connection: Connection, intake: Intake) -> RequestView:
            id_ = await recovery.retry(
                connection, intake, actor, request_id, step=step, changes=changes
            )
            return await views.view(connection, id_)

        return await self._judged(actor, try_again)

    async def skip(self, actor: Actor, request_id: str, step: str, reason: str) -> RequestView:
        """Leave a failed step out."""
        return await self._change(
            actor,
            lambda connection: by_hand.skip(
                connection, self._cipher, actor, request_id, step=step, reason=reason
            ),
        )

    async def resolve(
        self,
        actor: Actor,
        request_id: str,
        step: str | None = None,
        *,
        outputs: Mapping[str, Any] | None = None,
    ) -> RequestView:
        """Say that a failed step, or a manual-only request, was done by hand."""
        return await self._change(
            actor,
            lambda connection: by_hand.resolve(
                connection, self._cipher, actor, request_id, step=step, outputs=outputs
            ),
        )

    async def secret_outputs(self, actor: Actor, request_id: str) -> Mapping[str, Any]:
        """Return the secret outputs of a request in clear; audited."""

        async def read(connection: Connection) -> Mapping[str, Any]:
            row = await views.find(connection, actor, request_id, Action.SEE_SECRETS)
            outputs = await views.secret_outputs(connection, row.id)
            await audit.write(connection, named(actor), Action.SEE_SECRETS.value, row.request_id)
            return dict(await opened(connection, self._cipher, outputs))

        return await self._transact(read, actor)

    async def secret_parameters(self, actor: Actor, request_id: str) -> set[str]:
        """Return the names of the secret parameters of a request: its own, `<component>.<name>`."""

        async def read(connection: Connection) -> set[str]:
            return secret_names((await views.find(connection, actor, request_id)).plan)

        return await self._transact(read, actor)

    async def drive(
        self,
        request_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (part of the result, not an error)
        on_change: OnChange | None = None,
    ) -> RequestView:
        """Carry one request (full id) to its end in this process."""
        return await drive(
            self._surroundings,
            self._systems,
            self.config,
            await self._internal_id(request_id),
            limit=timeout,
            on_change=on_change,
        )

    async def watch(
        self, actor: Actor, request_id: str, *, on_change: OnChange | None = None
    ) -> RequestView:
        """Follow a request to its end; does none of its work."""
        view = await self.request(actor, request_id)
        id_ = await self._internal_id(view.request_id)
        return await watch(self._pool, self.config, id_, on_change=on_change)

    async def _judged(
        self,
        actor: Actor,
        work: Judging[T],
    ) -> T:
        """Do `work`; the sources of options that it needs are asked between two transactions."""
        intake = self._intake
        while True:
            try:
                return await self._transact(partial(work, intake=intake), actor)
            except OptionsNeeded as needed:
                found = await self._fetched(actor, needed)
                intake = replace(intake, options={**intake.options, **found})

    async def _fetched(self, actor: Actor, needed: OptionsNeeded) -> dict[str, Sequence[Option]]:
        """Return the options by the fields' paths; InvalidInput, by field, where a source is down."""
        form, found, errors = needed.form, {}, []
        document = form.document
        beside = seen(form.target, document.targets)
        asking = Asking(actor, document, document.source_file_path, form.fields, form.given, beside)
        for spec in form.fields:
            if spec.name in needed.names and (source := source_of(spec)) is not None:
                path = f"{form.prefix}{spec.name}"
                try:
                    found[path] = await self._sources.options(asking, spec.name, source)
                except Unreachable as down:
                    errors.append(FieldError(path, str(down), down.code))
        refuse(errors)
        return found

    async def _change(
        self, actor: Actor, verb: Callable[[Connection], Awaitable[UUID]]
    ) -> RequestView:
        """Do a verb on a request; return the request as it stands then."""

        async def work(connection: Connection) -> RequestView:
            return await views.view(connection, await verb(connection))

        return await self._transact(work, actor)
