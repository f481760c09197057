"""The modals of an approval: agreeing, with what is asked for, and refusing, with the reason."""

import json
from collections.abc import Mapping
from typing import Any, Final

from bot.forms.elements import ACTION
from bot.forms.errors import SENTENCE
from bot.forms.fields import block_id, input_blocks, is_text, read_field
from bot.forms.reading import entry_of
from bot.messages import notices
from bot.messages.blocks import Block, modal, section
from bot.messages.text import authored, code, cut, escaped, one_line, plain
from engine import (
    ApprovalView,
    BaseField,
    FieldError,
    RequestView,
    load_presentation,
)

APPROVE_FORM: Final = "approve_form"
REJECT_FORM: Final = "reject_form"
REASON: Final = "reason"
REASON_LENGTH: Final = 1000
FIELDS: Final = 90
"""Fields that one modal takes; an approval that asks for more is a document to mend."""


def approve_form(view: RequestView, approval: ApprovalView) -> Block:
    """Return the modal in which somebody agrees; it asks for the step's fields, if there are any."""
    said = [section(authored(approval.message, 2000))] if approval.message else []
    asked = [
        block
        for one in fields_of(approval)[:FIELDS]
        for block in input_blocks(one, _default(one), controls=False)
    ]
    return modal(
        notices.APPROVE,
        [section(_about(view, approval)), *said, *asked, _reason("Reason", optional=True)],
        callback_id=APPROVE_FORM,
        submit=notices.APPROVE,
        close=notices.GO_BACK,
        private_metadata=_metadata(view, approval),
    )


def reject_form(view: RequestView, approval: ApprovalView) -> Block:
    """Return the modal in which somebody refuses; the reason is told to the requester."""
    return modal(
        notices.REJECT,
        [section(_about(view, approval)), _reason("Why?", optional=False)],
        callback_id=REJECT_FORM,
        submit=notices.REJECT,
        close=notices.GO_BACK,
        private_metadata=_metadata(view, approval),
    )


def fields_of(approval: ApprovalView) -> tuple[BaseField, ...]:
    """Return what an approval step asks of whoever approves."""
    if not approval.fields:
        return ()
    return load_presentation({"fields": [dict(one) for one in approval.fields]}).all_fields


def decided_on(view: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the request and the step, if any, that a modal of this module is about."""
    about = json.loads(view["private_metadata"])
    return about["request"], about.get("step")


def reason_in(view: Mapping[str, Any]) -> str | None:
    """Return the reason that was typed."""
    return entry_of(view, REASON).get("value") or None


def values_in(
    view: Mapping[str, Any], fields: tuple[BaseField, ...]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return what was entered in the fields, and the names of those that are still text."""
    entries = view.get("state", {}).get("values") or {}
    values = {one.name: read_field(one, entries) for one in fields}
    given = {name: value for name, value in values.items() if value is not None}
    return given, frozenset(one.name for one in fields if one.name in given and is_text(one))


def errors_by_block(errors: list[FieldError], asked: frozenset[str]) -> dict[str, str]:
    """Return sentences by the block that they stand under, of blocks that are there."""
    places = {block_id(error.field): cut(error.message, SENTENCE) for error in errors}
    if (reason := next((one for one in errors if one.field == REASON), None)) is not None:
        places[REASON] = cut(reason.message, SENTENCE)
    return {place: sentence for place, sentence in places.items() if place in asked}


def _about(view: RequestView, approval: ApprovalView) -> str:
    step = next((one.name for one in view.steps if one.step_id == approval.step), approval.step)
    what = f"the step *{escaped(step, 200)}* of " if step else ""
    return f"You decide on {what}*{escaped(one_line(view.title), 300)}* {code(view.request_id)}."


def _reason(label: str, *, optional: bool) -> Block:
    return {
        "type": "input",
        "block_id": REASON,
        "label": plain(label),
        "optional": optional,
        "element": {
            "type": "plain_text_input",
            "action_id": ACTION,
            "multiline": True,
            "max_length": REASON_LENGTH,
        },
    }


def _default(one: BaseField) -> Any:
    return list(one.default) if isinstance(one.default, tuple) else one.default


def _metadata(view: RequestView, approval: ApprovalView) -> str:
    return json.dumps({"request": view.request_id, "step": approval.step})
