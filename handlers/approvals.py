"""Approvals: by button, by command, and the modals that ask for a reason or for a step's fields.

Who may decide is judged at the click, before a modal opens, and again when it is submitted.
"""

import re
from collections.abc import Awaitable, Callable

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms import approvals as forms
from bot.forms.errors import field_errors
from bot.forms.reading import asked_by
from bot.listening import (
    Call,
    Close,
    Errors,
    Outcome,
    Work,
    listener,
    notice_view,
    submission_listener,
)
from bot.messages import notices
from bot.messages.approvals import APPROVE, REJECT, waiting
from bot.notifier import READER
from engine import ApprovalView, Forbidden, InvalidInput, NotFound, RequestView


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the buttons of approvals and to their modals."""
    app.action(re.compile(rf"^{APPROVE}(:\d+)?$"))(listener(services, _clicked(open_approve)))
    app.action(re.compile(rf"^{REJECT}(:\d+)?$"))(listener(services, _clicked(open_reject)))
    app.view(forms.APPROVE_FORM)(submission_listener(services, on_approved))
    app.view(forms.REJECT_FORM)(submission_listener(services, on_rejected))


async def approve(call: Call, request_id: str, step: str | None, reason: str | None) -> None:
    """Agree at once with the reason given, or open the modal where the step asks for more."""
    engine, actor = call.services.engine, await call.actor()
    due = await engine.approval_to_decide(actor, request_id, step=step)
    if due.fields:
        await open_approve(call, request_id, step)
        return
    view = await engine.approve(actor, request_id, step=due.step, reason=reason)
    await call.say(notices.approved(view))


async def open_approve(call: Call, request_id: str, step: str | None) -> None:
    """Open the modal in which somebody agrees."""
    await _open(call, "approve", forms.approve_form, request_id, step)


async def reject(call: Call, request_id: str, step: str | None, reason: str | None) -> None:
    """Refuse with the reason given, or ask for one."""
    if not reason:
        await open_reject(call, request_id, step)
        return
    engine, actor = call.services.engine, await call.actor()
    due = await engine.approval_to_decide(actor, request_id, step=step)
    view = await engine.reject(actor, request_id, step=due.step, reason=reason)
    await call.say(notices.rejected(view))


async def open_reject(call: Call, request_id: str, step: str | None) -> None:
    """Open the modal in which somebody refuses."""
    await _open(call, "reject", forms.reject_form, request_id, step)


async def on_approved(call: Call) -> Outcome:
    """Take an approval, with what its step asked for."""
    view, engine, actor = call.body["view"], call.services.engine, await call.actor()
    request_id, step = forms.decided_on(view)
    due = await engine.approval_to_decide(actor, request_id, step=step)
    values, texts = forms.values_in(view, forms.fields_of(due))
    try:
        decided = await engine.approve(
            actor,
            request_id,
            step=step,
            reason=forms.reason_in(view),
            fields=values,
            texts=texts,
        )
    except InvalidInput as refusal:
        return _mend(call, refusal)
    return Close(then=lambda: call.say(notices.approved(decided)))


async def on_rejected(call: Call) -> Outcome:
    """Take a rejection."""
    view = call.body["view"]
    request_id, step = forms.decided_on(view)
    try:
        decided: RequestView = await call.services.engine.reject(
            await call.actor(), request_id, step=step, reason=forms.reason_in(view) or ""
        )
    except InvalidInput as refusal:
        return _mend(call, refusal)
    return Close(then=lambda: call.say(notices.rejected(decided)))


async def _open(
    call: Call,
    verb: str,
    form: Callable[[RequestView, ApprovalView], dict[str, object]],
    request_id: str,
    step: str | None,
) -> None:
    """Open a form of what somebody may decide; its trigger may have expired."""
    engine, actor = call.services.engine, await call.actor()
    due = await engine.approval_to_decide(actor, request_id, step=step)

    async def asked() -> dict[str, object]:
        return form(await engine.request(actor, request_id), due)

    await call.open(asked(), reopen=" ".join(filter(None, (verb, request_id, step))))


def _mend(call: Call, refusal: InvalidInput) -> Outcome:
    """Put what is wrong under its field; raises the refusal where no field is to blame."""
    under = forms.errors_by_block(field_errors(refusal), asked_by(call.body["view"]))
    if not under:
        raise refusal
    return Errors(under, notice_view(notices.error(refusal)))


def _clicked(open_modal: Callable[[Call, str, str | None], Awaitable[None]]) -> Work:
    """Open a modal of an approval for those who may decide; tell others whom to ask."""

    async def clicked(call: Call) -> None:
        request_id, _, step = call.value.partition(" ")
        try:
            await open_modal(call, request_id, step or None)
        except (Forbidden, NotFound) as refusal:
            if isinstance(refusal, NotFound) and refusal.code != NotFound.default_code:
                raise
            view = await call.services.engine.request(READER, request_id)
            due = next((one for one in waiting(view) if one.step == (step or None)), None)
            await call.say(notices.ask_approvers(due) if due else notices.not_allowed(refusal))

    return clicked
