"""What a submission is judged by: rights to its document, the form's values, the team's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from engine.catalog import search
from engine.catalog.documents import Access, Component, load_fulfillment
from engine.catalog.fields import BaseField, InstanceField, Option
from engine.catalog.options import source_of
from engine.catalog.steps import BaseStep
from engine.catalog.suggest import CATALOG_HINT
from engine.catalog.values import Checked, FieldError, check_values
from engine.config import EngineConfig
from engine.errors import Conflict, NotFound, quoted
from engine.people.permissions import Action, Denied, document_subject, may
from engine.requests.dependencies import Instances, Wanted
from engine.requests.parameters import surroundings
from engine.results import Actor, Kind, RequestType, Submission
from engine.secrets import Cipher
from engine.store import documents
from engine.store import submission as store
from engine.store.documents import StoredDocument
from engine.store.instances import InstanceRow
from engine.store.pool import Connection
from engine.store.submission import PlannedStep

WORDS: Mapping[Kind, str] = {
    "CatalogItem": "catalog item",
    "CatalogBundle": "bundle",
    "UpdateItem": "update",
    "UpgradeItem": "upgrade",
}
"""What people call a document of a kind."""


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
    """What the sources of fields with `options_from` answered, by the path of the field."""


@dataclass(frozen=True, slots=True)
class Form:
    """Values that were given for the fields of a document, or of a bundle's component.

    `prefix` goes before a field's name where findings name it ("" or "<component>."); `texts` are
    names of values that are command-line text.
    """

    document: StoredDocument
    fields: Sequence[BaseField]
    given: Mapping[str, Any]
    texts: frozenset[str] = frozenset()
    prefix: str = ""
    target: InstanceRow | None = None
    """The instance that an operation is ordered for."""


class OptionsNeeded(Exception):
    """Values cannot be judged before these sources were asked, which no transaction waits for."""

    def __init__(self, form: Form, names: Sequence[str]) -> None:
        super().__init__(form.document.name, *names)
        self.form = form
        self.names = names


@dataclass(frozen=True, slots=True)
class JudgedComponent:
    """A component that is on, with the values of its item's fields that are known already."""

    component: Component
    document: StoredDocument
    fields: Sequence[BaseField]
    values: Mapping[str, Any]
    is_required: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """The values of a submission; with no errors it may become a request. Secrets in clear."""

    fields: Sequence[BaseField] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()
    components: Mapping[str, JudgedComponent] = field(default_factory=dict)
    """A bundle's components that are on, in the bundle's order."""
    wanted: Mapping[str | None, Wanted] = field(default_factory=dict)
    """What is to be connected, by component; None: the instance itself."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a request will do: service_requests.plan and its steps."""

    plan: Mapping[str, Any]
    steps: Sequence[PlannedStep]


class Order(Protocol):
    """What a submission asks for: found, and held until the transaction ends."""

    @property
    def request_type(self) -> RequestType:
        """create, update, upgrade or decommission."""

    @property
    def action(self) -> Action:
        """What it is in the table of permissions, and in the audit log."""

    @property
    def document(self) -> StoredDocument:
        """The document that is asked for; of a decommission the instance's own."""

    @property
    def heading(self) -> str:
        """What is asked for, in words, before the instance's name in the request's title."""

    @property
    def version(self) -> str:
        """service_requests.catalog_version."""

    @property
    def target(self) -> InstanceRow | None:
        """The instance that it is about, locked; None for a create."""

    @property
    def told(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Events, by kind and data, that tell the request's thread what was found."""

    def forms(self, submission: Submission) -> Sequence[Form]:
        """Return what was given, form by form: the document's own first."""

    def refuse(self, intake: Intake, submission: Submission) -> None:
        """Raise where the catalog or the instance does not allow it, whatever was typed."""

    async def judge(
        self, connection: Connection, intake: Intake, actor: Actor, submission: Submission
    ) -> Judged:
        """Judge what was typed; raises OptionsNeeded."""

    def planned(self, judged: Judged) -> Planned:
        """Return what will be done for what was judged good."""


async def held_document(
    connection: Connection, actor: Actor, kind: Kind, name: str
) -> StoredDocument:
    """Return the document that the person may request, active or not, held against syncs.

    Raises NotFound for an unknown one, and Denied with the same words for one that is not theirs.
    """
    found = named(await documents.held_documents(connection, kind, [name]), name)
    if found and may(actor, Action.REQUEST, document_subject(found.owner, found.access)):
        return found
    # What may not be seen answers like what is not there.
    meant = await search.suggestion(connection, actor, name, kind)
    unknown = NotFound(
        f"There is no {WORDS[kind]} {quoted(name)}.{meant}",
        "not found, or not yours",
        CATALOG_HINT,
        code="unknown_item",
    )
    raise Denied(Action.REQUEST, found.name, unknown) if found else unknown


def named(documents: Sequence[StoredDocument], name: str) -> StoredDocument | None:
    """Return the document that a name or slug means: an active one first, then the exact name."""
    fitting = [one for one in documents if name in (one.name, one.slug)]
    return max(fitting, key=lambda one: (one.is_active, one.name == name), default=None)


async def judge_form(connection: Connection, intake: Intake, actor: Actor, form: Form) -> Checked:
    """Judge the values of a form; raises OptionsNeeded. Findings are named with the prefix."""
    needed = [
        spec.name
        for spec in form.fields
        if source_of(spec) is not None
        and f"{form.prefix}{spec.name}" not in intake.options
        and (
            form.given.get(spec.name) or (spec.name not in form.given and spec.default is not None)
        )
    ]
    if needed:
        raise OptionsNeeded(form, needed)
    options = {
        spec.name: intake.options[path]
        for spec in form.fields
        if (path := f"{form.prefix}{spec.name}") in intake.options
    }
    checked = check_values(
        form.fields,
        form.given,
        texts=form.texts,
        around=surroundings(
            actor,
            access_of(form.document.access),
            options,
            await _instances(connection, actor, form),
        ),
    )
    errors = tuple(replace(one, field=f"{form.prefix}{one.field}") for one in checked.errors)
    return replace(checked, errors=errors)


def access_of(section: Mapping[str, Any] | None) -> Access | None:
    """Return a document's `access` section as its model."""
    return Access.model_validate(section) if section else None


def refuse_stale(document: StoredDocument, submission: Submission) -> None:
    """Raise StaleForm where the form was drawn from another document than the one that stands."""
    if submission.content_hash and submission.content_hash != document.content_hash:
        raise StaleForm(document.display_name, document.version)


def refuse_removed(document: StoredDocument) -> None:
    """Raise NotFound where a sync removed the document."""
    if not document.is_active:
        raise NotFound(
            f"{document.display_name} is no longer in the catalog",
            "a sync of the catalog removed it",
            CATALOG_HINT,
            code="item_removed",
        )


def refuse_unrequestable(document: StoredDocument) -> None:
    """Raise where nothing new is made of the document."""
    refuse_removed(document)
    if document.lifecycle != "active":
        successor = document.replaced_by
        raise Conflict(
            f"{document.display_name} takes no new requests",
            f"it is {document.lifecycle}",
            f"Request {successor} in its place" if successor else "Ask its owner",
            code="item_not_requestable",
        )


def refuse_unknown_steps(steps: Sequence[BaseStep], step_types: frozenset[str]) -> None:
    """Raise where nobody here can do a step: rather no request than one that runs half."""
    for step in steps:
        if step.type not in step_types:
            raise Conflict(
                f"A step of type {step.type} is not available in this version",
                do="Ask the owner",
                code="not_available",
            )


def steps_of(fulfillment: Mapping[str, Any]) -> Sequence[BaseStep]:
    """Return the steps of a fulfillment as written, its rollback's too."""
    model = load_fulfillment(fulfillment)
    automation, rollback = model.automation, model.rollback
    return (*(automation.steps if automation else ()), *(rollback.steps if rollback else ()))


async def _instances(connection: Connection, actor: Actor, form: Form) -> Instances | None:
    """Return what is known of the instances that fields name; None where no field does."""
    asked = [spec for spec in form.fields if isinstance(spec, InstanceField)]
    if not asked:
        return None
    named_ids = {form.given.get(spec.name, spec.default) for spec in asked}
    ids = [one.strip() for one in named_ids if isinstance(one, str)]
    found = await store.providers(connection, ids)
    return Instances(actor, {one.instance_id: one for one in found})
