"""What can be done with a request, by command and by button alike, and the modals that ask for more."""

import json
from collections.abc import Sequence
from typing import Final

import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from bot.app import Services
from bot.forms import modals
from bot.forms.errors import field_errors
from bot.forms.reading import asked_by, entry_of
from bot.listening import Call, Close, Errors, Outcome, notice_view, submission_listener
from bot.messages import notices
from bot.messages.blocks import Block, actions, button, section
from bot.messages.card import MANUAL, UNDER_WAY, card
from bot.messages.text import code_block
from engine import (
    AttemptLog,
    Forbidden,
    InvalidInput,
    NotFound,
    RequestView,
    StepView,
    did_you_mean,
    quoted,
)

LOG_SHOWN: Final = 2400
"""Characters of a log's end that a message shows."""

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the modals in which somebody aborts, resolves or skips."""
    app.view(modals.ABORT_FORM)(submission_listener(services, on_abort))
    app.view(modals.RESOLVE_FORM)(submission_listener(services, on_resolve))
    app.view(modals.SKIP_FORM)(submission_listener(services, on_skip))


async def show_status(call: Call, request_id: str) -> None:
    """Say how a request stands, with a link to its thread."""
    view = await call.services.engine.request(await call.actor(), request_id)
    shown = card(view, await thread_link(call, view.request_id))
    await call.say(shown.text, shown.blocks)


async def thread_link(call: Call, request_id: str) -> str | None:
    """Return the address of a request's thread, None where there is none (yet)."""
    conversation = await call.services.engine.conversation(request_id)
    if conversation is None:
        return None
    try:
        answer = await call.services.client.chat_getPermalink(
            channel=conversation.channel, message_ts=conversation.card_ts
        )
    except SlackApiError as refusal:  # the card was deleted, or Slack is busy: the rest counts
        log.info("no_permalink", error=refusal.response.get("error"))
        return None
    return str(answer["permalink"])


async def retry(call: Call, request_id: str, step: str | None) -> None:
    """Run a failed step again; without a name the first one that failed."""
    actor, engine = await call.actor(), call.services.engine
    if step is None:
        step = _the_step(await engine.request(actor, request_id), "failed").name
    view = await engine.retry(actor, request_id, step)
    await call.say(notices.goes_on(view))


async def resume(call: Call, request_id: str) -> None:
    """Go on from the failed steps."""
    view = await call.services.engine.resume(await call.actor(), request_id)
    await call.say(notices.goes_on(view))


async def skip(call: Call, request_id: str, step: str, reason: str) -> None:
    """Go on without a step."""
    view = await call.services.engine.skip(await call.actor(), request_id, step, reason)
    await call.say(notices.goes_on(view))


async def open_skip(call: Call, request_id: str, step: str) -> None:
    """Ask an admin why a step is left out."""
    engine, actor = call.services.engine, await call.actor()
    if not actor.is_admin:
        raise Forbidden("You may not skip a step", "it is for admins", "Ask one of them")

    async def asked() -> dict[str, object]:
        view = await engine.request(actor, request_id)
        return modals.skip_form(view.request_id, _named(view.steps, step))

    await call.open(asked(), reopen=f"skip {request_id} {step}")


async def cancel(call: Call, request_id: str) -> None:
    """Take back what has not begun."""
    view = await call.services.engine.cancel(await call.actor(), request_id)
    await call.say(notices.cancelled(view))


async def abort(call: Call, request_id: str, reason: str | None) -> None:
    """Give up, with the reason given, or after asking for one."""
    actor, engine = await call.actor(), call.services.engine
    if reason is not None:
        await call.say(notices.aborted(await engine.abort(actor, request_id, reason=reason)))
        return

    async def asked() -> dict[str, object]:
        return modals.abort_form(await engine.request(actor, request_id))

    await call.open(asked(), reopen=f"abort {request_id}")


async def open_resolve(call: Call, request_id: str, step: str | None) -> None:
    """Ask for the outputs of what was done by hand."""
    actor, engine = await call.actor(), call.services.engine

    async def asked() -> dict[str, object]:
        view = await engine.request(actor, request_id)
        found = None
        if step is not None:
            found = _named(view.steps, step)
        elif view.steps:
            found = _by_hand(view) or _the_step(view, "failed")
        return modals.resolve_form(view.request_id, found)

    await call.open(asked(), reopen=" ".join(filter(None, ("resolve", request_id, step))))


async def show_logs(call: Call, request_id: str, step: str | None) -> None:
    """Say the end of a step's log; without a name of the step that failed, else of the last."""
    actor, engine = await call.actor(), call.services.engine
    view = await engine.request(actor, request_id)
    if not view.steps:
        raise NotFound(f"{view.request_id} has no steps", "it is done by hand")
    found = _named(view.steps, step) if step else _told_of(view.steps)
    logs = await engine.logs(actor, request_id, found.step_id)
    text = "\n".join(str(one) for one in logs)
    await call.say(
        notices.logs_of(found.name),
        [
            section(notices.logs_of(found.name)),
            section(code_block(text[-LOG_SHOWN:] or notices.NO_LOGS)),
            *actions(*_log_links(logs)),
        ],
    )


async def show_secrets(call: Call, request_id: str) -> None:
    """Show secret outputs in clear, to their owner alone."""
    values = await call.services.engine.secret_outputs(await call.actor(), request_id)
    await call.say(*notices.secrets(values))


async def on_abort(call: Call) -> Outcome:
    """Abort with the reason given."""
    view = call.body["view"]
    chosen = entry_of(view, modals.CHOICES).get("selected_options") or ()
    also = {one["value"] for one in chosen}
    request_id = json.loads(view["private_metadata"])["request"]
    aborted = await call.services.engine.abort(
        await call.actor(),
        request_id,
        reason=entry_of(view, modals.REASON).get("value"),
        destroy=modals.DESTROY in also,
        completion=modals.COMPLETION in also,
        cleanup=modals.HELD_BACK not in also,
    )
    return Close(then=lambda: call.say(notices.aborted(aborted)))


async def on_skip(call: Call) -> Outcome:
    """Leave a step out."""
    view = call.body["view"]
    about = json.loads(view["private_metadata"])
    reason = entry_of(view, modals.REASON).get("value") or ""
    skipped = await call.services.engine.skip(
        await call.actor(), about["request"], about["step"], reason
    )
    return Close(then=lambda: call.say(notices.goes_on(skipped)))


async def on_resolve(call: Call) -> Outcome:
    """Take the outputs of what was done by hand."""
    view = call.body["view"]
    about = json.loads(view["private_metadata"])
    typed = {
        block.removeprefix(modals.OUTPUT): entry
        for block in asked_by(view)
        if (entry := entry_of(view, block).get("value"))
    }
    try:
        resolved = await call.services.engine.resolve(
            await call.actor(),
            about["request"],
            about.get("step"),
            outputs=typed,
        )
    except InvalidInput as refusal:
        asked = asked_by(view)
        under = {
            f"{modals.OUTPUT}{error.field}": error.message
            for error in field_errors(refusal)
            if f"{modals.OUTPUT}{error.field}" in asked
        }
        if under:
            return Errors(under, notice_view(notices.error(refusal)))
        raise
    return Close(then=lambda: call.say(notices.goes_on(resolved)))


def _log_links(logs: Sequence[AttemptLog]) -> list[Block]:
    """Return buttons to the whole logs of the last attempts; the links are this person's own."""
    return [
        button(f"Log of attempt {one.attempt_number}", f"{notices.LINK}:{at}", url=one.url)
        for at, one in enumerate(logs[-3:])
        if one.url is not None
    ]


def _by_hand(view: RequestView) -> StepView | None:
    """Return the step that people do, where one is under way."""
    done_by_people = (step for step in view.steps if step.type == MANUAL)
    return next((step for step in done_by_people if step.status in UNDER_WAY), None)


def _the_step(view: RequestView, status: str) -> StepView:
    for step in view.steps:
        if step.status == status:
            return step
    raise NotFound(
        f"No step of {view.request_id} has {status}",
        do=f"Look with /pao status {view.request_id}",
    )


def _named(steps: Sequence[StepView], name: str) -> StepView:
    for step in steps:
        if name in {step.name, step.step_id}:
            return step
    names = [step.full_name for step in steps]
    raise NotFound(
        f"There is no step {quoted(name)}.{did_you_mean(name, names)}",
        do=f"Its steps are: {', '.join(names[:20])}",
    )


def _told_of(steps: Sequence[StepView]) -> StepView:
    """Return the step that a person asking for logs most likely means."""
    started = [step for step in steps if step.attempts]
    failed = [step for step in steps if step.status == "failed"]
    return (failed or started[-1:] or list(steps))[0]
