"""Submit: from what somebody typed to a request that runs, in one transaction.

    key locked -> document held -> values, access, limits judged -> request, secrets, steps,
    instance `provisioning`, dependencies written -> validating -> in_progress -> steps due

What the database owns: that a key is used once (a unique index; an advisory lock makes the second
of two simultaneous submissions wait and then find the first), that an instance has one active
request (a partial unique index), that a provider is not on its way out (a trigger), and every
move of a status (update_request_status, which also writes the events). The document's row is held
FOR SHARE, so a sync that removes it comes before or after, never in between.

A death at any instruction leaves either nothing or everything: nothing outside is called here. A
client that did not get the answer submits again with the same key and gets the same request.

The same key with other contents is refused and names the first request. Secrets count as equal
whatever they are: nothing that could be guessed back from a hash is kept.

A dry run does all of it and rolls back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from engine.catalog import search
from engine.catalog.documents import Access, Fulfillment, load_fulfillment, load_presentation
from engine.catalog.fields import BaseField, Option, SecretField
from engine.catalog.options import source_of
from engine.catalog.steps import BaseStep
from engine.catalog.suggest import CATALOG_HINT
from engine.catalog.values import Checked, check_values
from engine.config import EngineConfig
from engine.errors import Conflict, InvalidInput, NotFound, quoted
from engine.events import NewEvent
from engine.foreign_json import clean_text, dump_json
from engine.people.directory import personal_team
from engine.people.permissions import Action, Denied, document_subject, may
from engine.requests import dependencies
from engine.requests.begin import begin
from engine.requests.parameters import max_active, refuse, seal, surroundings
from engine.requests.plan import plan_document, plan_steps
from engine.results import SECRET_DOTS, Actor, Submission
from engine.secrets import Cipher
from engine.store import audit, events, requests
from engine.store import secrets as stored_secrets
from engine.store.pool import Connection
from engine.store.requests import ItemRow, NewRequest, PlannedStep

ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
ID_LENGTH: Final = 8
LONGEST_NAME: Final = 255


class StaleForm(Conflict):
    """The document has changed since the form was drawn; `version` is the one that stands now."""

    default_code = "stale_form"

    def __init__(self, item: str, version: str) -> None:
        super().__init__(
            f"{item} has changed since this form was opened",
            f"it is at version {version} now",
            "Look at the form again and submit it once more",
        )
        self.version = version


@dataclass(frozen=True, slots=True)
class Intake:
    """What a submission is judged by beside the catalog."""

    config: EngineConfig
    cipher: Cipher
    step_types: frozenset[str]
    options: Mapping[str, Sequence[Option]] = field(default_factory=dict)
    """What the sources of fields with `options_from` answered."""


class OptionsNeeded(Exception):
    """Values cannot be judged before these sources were asked, which no transaction waits for."""

    def __init__(self, item: ItemRow, fields: Sequence[BaseField], names: Sequence[str]) -> None:
        super().__init__(item.name, *names)
        self.item = item
        self.fields = fields
        self.names = names


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission that may become a request: everything is judged, nothing is written."""

    item: ItemRow
    fields: Sequence[BaseField]
    fulfillment: Fulfillment
    access: Access | None
    checked: Checked
    team: str


async def submit(
    connection: Connection, intake: Intake, actor: Actor, submission: Submission
) -> UUID:
    """Write the request that the submission asks for; return its id, or the first one of its key.

    Raises InvalidInput (`errors` by field), NotFound (no such item, or not the person's), Conflict
    (same key with other contents, StaleForm, a limit, a dependency) and Denied.
    """
    if submission.idempotency_key:
        await requests.lock_key(connection, submission.idempotency_key)
    item = await _item(connection, actor, submission)
    digest = _digest(item, actor, submission)
    first = await _first_of_key(connection, actor, submission, digest)
    if first is not None:
        return first
    accepted = _judge(intake, actor, submission, item)
    await _refuse_over_limit(connection, actor, accepted)
    request_id = await _write(
        connection, intake, actor, submission, accepted=accepted, digest=digest
    )
    await begin(connection, request_id)
    return request_id


async def check(
    connection: Connection, intake: Intake, actor: Actor, submission: Submission
) -> Checked:
    """Judge the values alone, for a form before it is submitted; raises for an unknown item."""
    item = await _item(connection, actor, submission)
    fields = load_presentation(item.presentation).all_fields
    return _checked(intake, actor, submission, item, fields)


def content_hash(item: ItemRow) -> str:
    """Return the hash of the document that a form is drawn from."""
    return item.source_file_hash or item.version


def access_of(section: Mapping[str, Any] | None) -> Access | None:
    """Return a document's `access` section as its model."""
    return Access.model_validate(section) if section else None


async def _item(connection: Connection, actor: Actor, submission: Submission) -> ItemRow:
    """Return the document that the person may request."""
    if submission.bundle or submission.components:
        raise _not_available("Requesting a bundle", "Request its items one by one")
    name = submission.item or ""
    item = await requests.item_to_request(connection, name)
    if item and may(actor, Action.REQUEST, document_subject(item.owner, item.access)):
        return item
    # What may not be seen answers like what is not there.
    meant = await search.suggestion(connection, actor, name, "CatalogItem")
    unknown = NotFound(
        f"There is no catalog item {quoted(name)}.{meant}",
        "not found, or not yours",
        CATALOG_HINT,
        code="unknown_item",
    )
    raise Denied(Action.REQUEST, item.name, unknown) if item else unknown


async def _first_of_key(
    connection: Connection, actor: Actor, submission: Submission, digest: str
) -> UUID | None:
    """Return the request that the same submission made before."""
    if not submission.idempotency_key:
        return None
    first = await requests.request_of_key(connection, submission.idempotency_key)
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


def _judge(intake: Intake, actor: Actor, submission: Submission, item: ItemRow) -> Accepted:
    _refuse_unrequestable(item)
    if submission.content_hash and submission.content_hash != content_hash(item):
        raise StaleForm(item.display_name, item.version)
    fields = load_presentation(item.presentation).all_fields
    fulfillment = load_fulfillment(item.fulfillment)
    _refuse_unavailable(item, fulfillment, intake.step_types)
    checked = _checked(intake, actor, submission, item, fields)
    refuse(checked.errors)
    team = _team(intake, actor, submission)
    return Accepted(item, fields, fulfillment, access_of(item.access), checked, team)


def _refuse_unrequestable(item: ItemRow) -> None:
    if not item.is_active:
        raise NotFound(
            f"{item.display_name} is no longer in the catalog",
            "a sync of the catalog removed it",
            CATALOG_HINT,
            code="item_removed",
        )
    if item.lifecycle != "active":
        raise Conflict(
            f"{item.display_name} takes no new requests",
            f"it is {item.lifecycle}",
            f"Request {item.replaced_by} in its place" if item.replaced_by else "Ask its owner",
            code="item_not_requestable",
        )


def _refuse_unavailable(
    item: ItemRow, fulfillment: Fulfillment, step_types: frozenset[str]
) -> None:
    """Refuse what would run only half: rather no request than one that ignores its document."""
    if item.approval and item.approval.get("required", True) is not False:
        raise _not_available("Asking for approval", "Ask the owner to take `approval` out")
    automation = fulfillment.automation
    if automation and automation.pre_execution_checks:
        raise _not_available("Checking before the first step", "Ask the owner")
    steps = (*(automation.steps if automation else ()), *_rollback_steps(fulfillment))
    for step in steps:
        if step.type not in step_types:
            raise _not_available(f"A step of type {step.type}", "Ask the owner")


def _rollback_steps(fulfillment: Fulfillment) -> Sequence[BaseStep]:
    return fulfillment.rollback.steps if fulfillment.rollback else ()


def _not_available(what: str, do: str) -> Conflict:
    return Conflict(f"{what} is not available in this version", do=do, code="not_available")


def _checked(
    intake: Intake,
    actor: Actor,
    submission: Submission,
    item: ItemRow,
    fields: Sequence[BaseField],
) -> Checked:
    given = submission.parameters
    needed = [
        spec.name
        for spec in fields
        if source_of(spec) is not None
        and spec.name not in intake.options
        and (given.get(spec.name) or (spec.name not in given and spec.default is not None))
    ]
    if needed:
        raise OptionsNeeded(item, fields, needed)
    return check_values(
        fields,
        given,
        texts=submission.texts,
        around=surroundings(actor, access_of(item.access), intake.options),
    )


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


async def _refuse_over_limit(connection: Connection, actor: Actor, accepted: Accepted) -> None:
    most = max_active(actor, accepted.access)
    if most is None:
        return
    count = await requests.count_team_items(connection, accepted.team, accepted.item.id)
    if count >= most:
        raise Conflict(
            f"The team {accepted.team} has {count} of {accepted.item.display_name} already",
            f"it may have {most} at a time",
            "Decommission one that is no longer needed, or ask the owner for more",
            code="limit_reached",
        )


async def _write(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    submission: Submission,
    *,
    accepted: Accepted,
    digest: str,
) -> UUID:
    """Write request, secrets, steps, instance and dependencies; return the request's id."""
    item, request_id = accepted.item, uuid4()
    name = await _instance_name(connection, submission, item)
    parameters, kept = seal(accepted.fields, accepted.checked.values, intake.cipher, request_id)
    await stored_secrets.insert(connection, kept)
    external_id = await requests.insert_request(
        connection,
        NewRequest(
            id=request_id,
            suffix="".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH)),
            item_id=item.id,
            version=item.version,
            parameters=parameters,
            user_id=actor.user_id,
            team=accepted.team,
            email=actor.email,
            key=submission.idempotency_key,
            hash=digest,
            title=f"{item.display_name}: {name}",
            source=actor.source,
            submitted_by=actor.audit_name or actor.user_id,
            channel=submission.origin_channel,
            commit=item.source_commit,
            plan=plan_document(item, content_hash(item)),
            not_before=submission.at,
        ),
    )
    await events.write(connection, NewEvent("request.submitted", request_id))
    await requests.insert_steps(connection, request_id, _plan(accepted))
    instance_id = await requests.reserve_instance(connection, request_id, name)
    await dependencies.connect(
        connection,
        actor,
        submission,
        item,
        values={field.name: parameters.get(field.name) for field in accepted.fields},
        request_id=request_id,
        instance_id=instance_id,
    )
    await audit.write(
        connection,
        actor.audit_name or actor.user_id,
        Action.REQUEST.value,
        external_id,
        after={"item": item.name, "version": item.version, "team": accepted.team},
    )
    return request_id


def _plan(accepted: Accepted) -> tuple[PlannedStep, ...]:
    return plan_steps(accepted.fulfillment, accepted.item.fulfillment)


async def _instance_name(connection: Connection, submission: Submission, item: ItemRow) -> str:
    """Return the name as given, control characters as spaces; else the slug and a number."""
    if submission.instance_name is None or not submission.instance_name.strip():
        return f"{item.slug}-{await requests.next_instance_number(connection, item.id)}"
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


def _digest(item: ItemRow, actor: Actor, submission: Submission) -> str:
    """Return the hash of what is asked for, secrets left out."""
    fields = load_presentation(item.presentation).all_fields
    secret = {field.name for field in fields if isinstance(field, SecretField)}
    contents: Mapping[str, Any] = {
        "item": item.name,
        "user": actor.user_id,
        "name": submission.instance_name,
        "team": submission.team,
        "parameters": {
            name: SECRET_DOTS if name in secret else value
            for name, value in sorted(submission.parameters.items())
        },
        "dependencies": dict(sorted(submission.dependencies.items())),
        "at": submission.at and submission.at.isoformat(),
    }
    return hashlib.sha256(dump_json(contents).encode("utf-8", "surrogatepass")).hexdigest()
