"""The end of a service: the check first, then its name as confirmation, then the request."""

import json
from typing import Any

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms.day2 import (
    CONFIRM_DECOMMISSION,
    DECOMMISSION_FORM,
    decommission_check,
    decommission_form,
)
from bot.forms.errors import field_errors
from bot.forms.places import CONFIRMATION_BLOCK
from bot.forms.reading import entry_of
from bot.listening import Call, Close, Errors, Outcome, listener, notice_view, submission_listener
from bot.messages import asking, notices
from engine import InvalidInput, RequestView, Submission

Block = dict[str, Any]


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the button under the check, and to the confirmation."""
    app.action(CONFIRM_DECOMMISSION)(listener(services, on_button))
    app.view(DECOMMISSION_FORM)(submission_listener(services, on_confirmed))


async def open_form(call: Call, instance_id: str) -> None:
    """Answer whether the service may go: blocked by whom, or free to go, with the way on."""
    actor, engine = await call.actor(), call.services.engine
    instance = await engine.instance(actor, instance_id)
    check = await engine.can_decommission(actor, instance.instance_id)
    await call.say(*decommission_check(instance, check))


async def open_confirmation(call: Call, instance_id: str) -> None:
    """Open the modal in which the service's name is typed."""

    async def asked() -> Block:
        instance = await call.services.engine.instance(await call.actor(), instance_id)
        return decommission_form(instance, call.channel)

    await call.open(asked(), reopen=f"decommission {instance_id}")


async def on_button(call: Call) -> None:
    """Go on from the check."""
    await open_confirmation(call, call.value)


async def on_confirmed(call: Call) -> Outcome:
    """Request the decommission; a wrong name is said under the field."""
    view = call.body["view"]
    about = json.loads(view["private_metadata"])
    wanted = Submission(
        parameters={},
        request_type="decommission",
        instance=about["instance"],
        confirmation=entry_of(view, CONFIRMATION_BLOCK).get("value"),
        origin_channel=about.get("channel"),
        idempotency_key=f"slack:{view['id']}:{view['hash']}",
    )
    try:
        made = await call.services.engine.submit(await call.actor(), wanted)
    except InvalidInput as refusal:
        for error in field_errors(refusal):
            if error.field == CONFIRMATION_BLOCK:
                under = {CONFIRMATION_BLOCK: error.message}
                return Errors(under, notice_view(notices.error(refusal)))
        raise
    return Close(then=lambda: _confirm(call, about.get("channel"), made), everything=True)


async def _confirm(call: Call, channel: str | None, made: RequestView) -> None:
    """Say where the card is, when it is not where the service's end was asked for."""
    if channel and made.channel not in {None, channel}:
        await call.whisper(channel, asking.decommissioning(made))
