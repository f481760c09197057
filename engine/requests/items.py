"""The order of a new instance of a catalog item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.catalog.documents import load_fulfillment, load_presentation
from engine.people.permissions import Action
from engine.requests import dependencies
from engine.requests.judging import (
    Form,
    Intake,
    Judged,
    Planned,
    held_document,
    judge_form,
    refuse_stale,
    refuse_unknown_steps,
    refuse_unrequestable,
    steps_of,
)
from engine.requests.plan import plan_document, plan_steps
from engine.results import Actor, Submission
from engine.store.documents import StoredDocument
from engine.store.pool import Connection


@dataclass(frozen=True, slots=True)
class ItemOrder:
    """A new instance of an item (judging.Order)."""

    document: StoredDocument
    request_type: Literal["create"] = "create"
    action: Literal[Action.REQUEST] = Action.REQUEST
    target: None = None
    told: tuple[()] = ()

    @property
    def heading(self) -> str:
        """The document's name."""
        return self.document.display_name

    @property
    def version(self) -> str:
        """The document's version."""
        return self.document.version

    def forms(self, submission: Submission) -> tuple[Form]:
        """Return what was given for the item's fields."""
        fields = load_presentation(self.document.presentation).all_fields
        return (Form(self.document, fields, submission.parameters, submission.texts),)

    def refuse(self, intake: Intake, submission: Submission) -> None:
        """Raise where the item takes no requests, or not this form's."""
        refuse_unrequestable(self.document)
        refuse_stale(self.document, submission)
        refuse_unknown_steps(steps_of(self.document.fulfillment), intake.step_types)

    async def judge(
        self, connection: Connection, intake: Intake, actor: Actor, submission: Submission
    ) -> Judged:
        """Judge the values, and the instances that the new one is connected with."""
        (form,) = self.forms(submission)
        checked = await judge_form(connection, intake, actor, form)
        asked = dependencies.asked_by(self.document)
        wanted = await dependencies.judge(connection, actor, asked, submission.dependencies)
        return Judged(form.fields, checked.values, checked.errors, wanted={None: wanted})

    def planned(self, judged: Judged) -> Planned:  # noqa: ARG002 (Order)
        """Return the item's own steps."""
        document = self.document
        fulfillment = load_fulfillment(document.fulfillment)
        return Planned(plan_document(document), plan_steps(fulfillment, document.fulfillment))


async def find(connection: Connection, actor: Actor, submission: Submission) -> ItemOrder:
    """Return the order of the item that is named."""
    name = submission.item or ""
    return ItemOrder(await held_document(connection, actor, "CatalogItem", name))
