"""Submit: from what somebody asked for to a request that runs, in one transaction.

    key locked -> order found and held -> values, access, limits judged
      -> request, secrets, steps, instances, dependencies written -> begun (engine/requests/begin.py)

One flow for all: an order (engine/requests/judging.py) is of an item, of a bundle, of an operation
on an instance, or of an instance's end; each has a module of its own.

What the database owns: that a key is used once (a unique index; an advisory lock makes the second
of two simultaneous submissions wait and then find the first), that an instance has one active
request (a partial unique index), that a provider is not on its way out (a trigger), and every
move of a status (update_request_status, which also writes the events). Documents are held FOR
SHARE, so a sync that removes one comes before or after, never in between; the instance that a
request is about, and a bundle's members, are locked before anything is judged.

A death at any instruction leaves either nothing or everything: nothing outside is called here. A
client that did not get the answer submits again with the same key and gets the same request.

The same key with other contents is refused and names the first request. Secrets count as equal
whatever they are: nothing that could be guessed back from a hash is kept.

A dry run does all of it and rolls back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from engine.errors import Conflict, ConstraintViolated, InvalidInput
from engine.events import NewEvent
from engine.foreign_json import clean_text
from engine.people.directory import personal_team
from engine.requests import bundles, decommission, items, operations, targets
from engine.requests.begin import begin
from engine.requests.components import made_of_secrets
from engine.requests.idempotency import digest_of
from engine.requests.judging import (
    Intake,
    Judged,
    JudgedComponent,
    OptionsNeeded,
    Order,
    Planned,
    StaleForm,
    access_of,
)
from engine.requests.parameters import max_active, refuse, seal
from engine.results import Actor, Submission
from engine.store import audit, events
from engine.store import secrets as stored_secrets
from engine.store import submission as store
from engine.store.documents import StoredDocument
from engine.store.instances import InstanceRow
from engine.store.pool import Connection
from engine.store.secrets import EncryptedValue
from engine.store.submission import ChosenDependency, NewMember, NewRequest

__all__ = ["Intake", "OptionsNeeded", "StaleForm", "access_of", "check", "submit"]

ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
ID_LENGTH: Final = 8
LONGEST_NAME: Final = 255


async def submit(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    submission: Submission,
    target: InstanceRow | None = None,
) -> UUID:
    """Write the request that the submission asks for; return its id, or the first one of its key.

    `target`: the instance that a day-2 request is about, which the person may act on. Raises
    InvalidInput (`errors` by field), NotFound (no such document, or not the person's), Conflict
    (same key with other contents, StaleForm, a limit, a dependency, the instance's state, another
    request about it) and Denied.
    """
    if submission.idempotency_key:
        await store.lock_key(connection, submission.idempotency_key)
    order = await _find(connection, actor, submission, target)
    digest = digest_of(order, actor, submission)
    first = await _first_of_key(connection, actor, submission, digest)
    if first is not None:
        return first
    order.refuse(intake, submission)
    judged = await order.judge(connection, intake, actor, submission)
    refuse([*judged.errors, *(e for wanted in judged.wanted.values() for e in wanted.errors)])
    team = order.target.owner_team if order.target else _team(intake, actor, submission)
    await _refuse_over_limits(connection, actor, order, judged, team)
    draft = Draft(order, judged, order.planned(judged), submission, actor, team, digest)
    request_id = await _write(connection, intake, draft)
    await _begin(connection, intake, order, request_id)
    return request_id


async def check(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    submission: Submission,
    target: InstanceRow | None = None,
) -> Judged:
    """Judge the values alone, for a form before it is submitted; raises for an unknown document."""
    order = await _find(connection, actor, submission, target)
    return await order.judge(connection, intake, actor, submission)


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that is about to be written: everything is judged."""

    order: Order
    judged: Judged
    planned: Planned
    submission: Submission
    actor: Actor
    team: str
    digest: str


async def _find(
    connection: Connection, actor: Actor, submission: Submission, target: InstanceRow | None
) -> Order:
    """Return what is asked for; InvalidInput where that is not one thing."""
    if submission.request_type == "decommission":
        return await decommission.find(connection, actor, submission, target)
    if submission.request_type != "create":
        return await operations.find(connection, actor, submission, target)
    if submission.bundle and submission.item:
        raise InvalidInput("An item and a bundle cannot be requested at once", field="bundle")
    if submission.bundle:
        return await bundles.find(connection, actor, submission)
    return await items.find(connection, actor, submission)


async def _first_of_key(
    connection: Connection, actor: Actor, submission: Submission, digest: str
) -> UUID | None:
    """Return the request that the same submission made before."""
    if not submission.idempotency_key:
        return None
    first = await store.request_of_key(connection, submission.idempotency_key)
    if first is None:
        return None
    if first.requester_user_id != actor.user_id or first.submission_hash != digest:
        raise Conflict(
            "This idempotency key was used before",
            f"it made request {first.request_id}, with other contents",
            "Submit with a new key, or look at that request",
            request_id=first.request_id,
            code="idempotency_key_reused",
        )
    return first.id


def _team(intake: Intake, actor: Actor, submission: Submission) -> str:
    """Return the team that will own the instance: one of the person's, else their own."""
    wanted = submission.team
    if wanted is None and len(actor.teams) <= 1:
        return actor.teams[0] if actor.teams else personal_team(actor.user_id)
    nothing_declared = not intake.config.teams and not actor.teams
    if wanted and (wanted in actor.teams or actor.is_admin or nothing_declared):
        return wanted
    raise InvalidInput(
        f"You are not in the team {wanted}" if wanted else "Say for which team this is",
        f"your teams are {', '.join(actor.teams) or 'none'}",
        "Choose one of them",
        field="team",
        code="wrong_team",
    )


async def _refuse_over_limits(
    connection: Connection, actor: Actor, order: Order, judged: Judged, team: str
) -> None:
    """Raise Conflict where the team would have more than it may of anything that is made."""
    if order.target is not None:
        return
    ordered = [order.document, *(one.document for one in judged.components.values())]
    documents = {document.id: document for document in ordered}
    for id_, document in sorted(documents.items()):
        most = max_active(actor, access_of(document.access))
        new = sum(one.id == id_ for one in ordered)
        if most is not None:
            count = await store.count_team_documents(connection, team, id_)
            if count + new > most:
                raise Conflict(
                    f"The team {team} has {count} of {document.display_name} already",
                    f"it may have {most} at a time",
                    "Decommission one that is no longer needed, or ask the owner for more",
                    code="limit_reached",
                )


async def _write(connection: Connection, intake: Intake, draft: Draft) -> UUID:
    """Write request, secrets, steps, instances and dependencies; return the request's id."""
    order, actor, submission = draft.order, draft.actor, draft.submission
    document, target, request_id = order.document, order.target, uuid4()
    name = target.instance_name if target else await _new_name(connection, submission, document)
    values, kept = _sealed(draft.judged, intake, request_id)
    await stored_secrets.insert(connection, kept)
    row = _row(draft, request_id, name, _parameters(values))
    external_id = await store.insert_request(connection, row)
    if external_id is None:
        raise await _overtaken(connection, target)
    await events.write(connection, NewEvent("request.submitted", request_id))
    await store.insert_steps(connection, request_id, draft.planned.steps)
    if target is None:
        await _reserve(connection, draft, request_id, name, values)
    for kind, data in order.told:
        await events.write(connection, NewEvent(kind, request_id, data=data))
    await audit.write(
        connection,
        actor.audit_name or actor.user_id,
        order.action.value,
        external_id,
        after={"item": document.name, "version": order.version, "team": draft.team},
    )
    return request_id


def _row(draft: Draft, request_id: UUID, name: str, parameters: Mapping[str, Any]) -> NewRequest:
    """Return the request as it is written, for an instance of a name."""
    order, actor, submission = draft.order, draft.actor, draft.submission
    document, target = order.document, order.target
    return NewRequest(
        id=request_id,
        suffix="".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH)),
        type=order.request_type,
        kind=None if order.request_type == "decommission" else document.kind,
        document_id=document.id,
        target=target.id if target else None,
        version=order.version,
        parameters=parameters,
        user_id=actor.user_id,
        team=draft.team,
        email=actor.email,
        key=submission.idempotency_key,
        hash=draft.digest,
        title=f"{order.heading}: {name}",
        source=actor.source,
        submitted_by=actor.audit_name or actor.user_id,
        channel=submission.origin_channel,
        commit=document.source_commit,
        plan=draft.planned.plan,
        not_before=submission.at,
    )


async def _overtaken(connection: Connection, target: InstanceRow | None) -> Conflict:
    """Return the error for an instance that a resumed request took at the same moment."""
    taken = await targets.taken(connection, target) if target else None
    return taken or Conflict("Another request came first", do="Submit once more")


Sealed = dict[str | None, dict[str, Any]]
"""Values with secrets as references, by component; None: the document's own."""


def _sealed(
    judged: Judged, intake: Intake, request_id: UUID
) -> tuple[Sealed, list[EncryptedValue]]:
    """Return all values with secrets replaced by references, and the ciphertexts to keep."""
    own, kept = seal(judged.fields, judged.values, intake.cipher, request_id)
    sealed: Sealed = {None: own}
    for key, one in judged.components.items():
        sealed[key], more = seal(
            one.fields,
            one.values,
            intake.cipher,
            request_id,
            prefix=f"{key}.",
            also=made_of_secrets(one, judged),
        )
        kept += more
    return sealed, kept


def _parameters(sealed: Sealed) -> dict[str, Any]:
    """Return service_requests.parameters: a bundle's components stand under a key of their own."""
    components = {key: values for key, values in sealed.items() if key is not None}
    return sealed[None] | ({"components": components} if components else {})


async def _reserve(
    connection: Connection, draft: Draft, request_id: UUID, name: str, sealed: Sealed
) -> None:
    """Make the instance, and a bundle's members, connected with what they build on."""
    judged = draft.judged
    ids: dict[str | None, UUID] = {None: await store.reserve_instance(connection, request_id, name)}
    if judged.components:
        members = [
            _member(one, f"{name[: LONGEST_NAME - len(key) - 1]}-{key}", sealed[key])
            for key, one in judged.components.items()
        ]
        ids.update(await store.reserve_members(connection, request_id, members))
    for key, wanted in judged.wanted.items():
        fields = judged.fields if key is None else judged.components[key].fields
        values = {spec.name: sealed[key].get(spec.name) for spec in fields}
        chosen = wanted.connections(values)
        if chosen:
            await _connect(connection, request_id, ids[key], chosen)


async def _connect(
    connection: Connection,
    request_id: UUID,
    instance_id: UUID,
    chosen: Sequence[ChosenDependency],
) -> None:
    """Connect an instance; Conflict where another one began to go at the same moment."""
    try:
        await store.insert_dependencies(connection, request_id, instance_id, chosen)
    except ConstraintViolated as refused:
        if refused.constraint != store.PROVIDERS_STAY:
            raise
        raise Conflict(
            "An instance that was chosen is on its way out",
            refused.why,
            "Choose another one",
            code="provider_leaving",
        ) from refused


def _member(one: JudgedComponent, name: str, parameters: Mapping[str, Any]) -> NewMember:
    return NewMember(
        component=one.component.key,
        document=one.document,
        instance_name=name,
        role=one.component.role,
        is_required=one.is_required,
        parameters=parameters,
        dependencies=bundles.edges(one.component),
    )


async def _begin(connection: Connection, intake: Intake, order: Order, request_id: UUID) -> None:
    """Let the request go as far as it can; Conflict where the instance's state does not allow it."""
    try:
        await begin(connection, request_id, intake.config.teams)
    except ConstraintViolated as refused:
        if order.target is None or refused.constraint not in targets.STATE_RULES:
            raise
        raise targets.not_now(order.target, refused.why) from refused


async def _new_name(
    connection: Connection, submission: Submission, document: StoredDocument
) -> str:
    """Return the name as given, control characters as spaces; else the slug and a number."""
    if submission.instance_name is None or not submission.instance_name.strip():
        return f"{document.slug}-{await store.next_instance_number(connection, document.id)}"
    text = clean_text(submission.instance_name)
    name = "".join(char if char.isprintable() else " " for char in text).strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput(
            "The instance's name cannot be taken",
            f"it has {len(name)} characters, and 1 to {LONGEST_NAME} are allowed",
            "Choose another name",
            field="instance_name",
        )
    return name
