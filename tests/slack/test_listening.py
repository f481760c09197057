"""The one decorator: acknowledged first and always, errors told where the person is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.contextvars
import structlog.testing
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

from bot import listening
from bot.app import Services, build_app, slack_client
from bot.listening import (
    Call,
    Close,
    Errors,
    Outcome,
    Show,
    listener,
    notice_view,
    options_listener,
    submission_listener,
)
from bot.messages.blocks import modal
from bot.playground.views import View
from bot.process import running
from bot.socket_mode import SocketMode
from engine import Forbidden, InvalidInput, NotFound
from handlers import fallbacks
from tests.support.slack_twin import SlackTwin, text_of


@pytest.fixture
async def twin() -> AsyncIterator[SlackTwin]:
    async with SlackTwin() as twin:
        yield twin


@pytest.fixture
def services(twin: SlackTwin) -> Services:
    """Services of listeners that ask the engine for nothing."""
    client = slack_client(twin.playground.bot_token, twin.playground.api_url)
    return Services.of(client, None)  # type: ignore[arg-type]


@asynccontextmanager
async def listening_on(services: Services, app: AsyncApp, twin: SlackTwin) -> AsyncIterator[None]:
    async with running(services.background), running(SocketMode(app, twin.playground.app_token)):
        yield


NAME = {
    "type": "input",
    "block_id": "name",
    "label": {"type": "plain_text", "text": "Name"},
    "element": {"type": "plain_text_input", "action_id": "name"},
}
MENU = {
    "type": "input",
    "block_id": "menu",
    "label": {"type": "plain_text", "text": "Menu"},
    "optional": True,
    "element": {"type": "external_select", "action_id": "menu", "min_query_length": 0},
}
FORM = modal("A form", [NAME, MENU], callback_id="form", submit="Go")


async def open_form(call: Call) -> None:
    async def drawn() -> dict[str, Any]:
        return FORM

    await call.open(drawn(), reopen="form")


async def answered(twin: SlackTwin, services: Services, work: listening.Work) -> str:
    """Send `/pao` to a listener that does `work`, and return what alice is told."""
    app = build_app(services)
    app.command("/pao")(listener(services, work))
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        await services.background.drained()
    assert twin.notices("alice") == []
    return "\n".join(text_of(message) for message in twin.ephemerals("alice"))


async def test_work_that_takes_its_time_is_acknowledged_at_once(
    twin: SlackTwin, services: Services
) -> None:
    may_end = asyncio.Event()

    async def work(call: Call) -> None:
        await may_end.wait()
        await call.say("done at last")

    app = build_app(services)
    app.command("/pao")(listener(services, work))
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        assert twin.notices("alice") == []
        may_end.set()
        await services.background.drained()
    assert "done at last" in text_of(twin.ephemerals("alice")[0])


async def test_no_work_begins_before_its_acknowledgement_is_on_its_way(
    twin: SlackTwin, services: Services
) -> None:
    begun = asyncio.Event()

    async def work(_: Call) -> None:
        begun.set()

    app = build_app(services)
    app.command("/pao")(listener(services, work))
    payload = {"command": "/pao", "text": "", "user_id": twin.user("alice")}
    answer = await app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload))

    assert answer.status == 200
    assert not begun.is_set()
    await services.background.drained()
    assert begun.is_set()


async def test_every_line_of_a_payloads_work_names_its_kind_and_its_person(
    twin: SlackTwin, services: Services
) -> None:
    seen: list[dict[str, Any]] = []

    async def work(_: Call) -> None:
        seen.append(structlog.contextvars.get_contextvars())

    await answered(twin, services, work)

    assert seen == [{"slack": "command", "user": twin.user("alice")}]


async def test_an_error_is_told_as_what_why_and_do(twin: SlackTwin, services: Services) -> None:
    async def work(_: Call) -> None:
        raise NotFound("There is no item 'x'", "a sync removed it", "Look with /pao catalog")

    told = await answered(twin, services, work)

    assert ":warning: There is no item 'x': a sync removed it." in told
    assert "Look with /pao catalog." in told


async def test_a_refusal_says_whom_to_ask(twin: SlackTwin, services: Services) -> None:
    async def work(_: Call) -> None:
        raise Forbidden("You may not pause", "only admins may", "Ask an admin")

    assert ":no_entry: You may not pause" in await answered(twin, services, work)


async def test_an_unknown_error_is_logged_under_the_id_that_is_told(
    twin: SlackTwin, services: Services
) -> None:
    async def work(_: Call) -> None:
        raise RuntimeError("secret internals")

    with structlog.testing.capture_logs() as logs:
        told = await answered(twin, services, work)

    [incident] = [entry["incident"] for entry in logs if "incident" in entry]
    assert f"`{incident}`" in told
    assert "secret internals" not in told


async def test_every_acknowledgement_is_measured(twin: SlackTwin) -> None:
    seen: list[tuple[str, float]] = []
    client = slack_client(twin.playground.bot_token, twin.playground.api_url)
    services = Services.of(
        client,
        None,  # type: ignore[arg-type]
        on_ack=lambda kind, seconds: seen.append((kind, seconds)),
    )

    async def work(_: Call) -> None:
        return

    await answered(twin, services, work)

    [(kind, seconds)] = seen
    assert kind == "command"
    assert 0 <= seconds < 3


async def submitted(twin: SlackTwin, services: Services, judge: listening.Judge) -> View:
    """Submit a form to `judge` and return the view that was submitted."""
    app = build_app(services)
    app.command("/pao")(listener(services, open_form))
    app.view("form")(submission_listener(services, judge))
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        view = await twin.view("alice", "form")
        await twin.submit("alice", view, {"name": "x"})
        await services.background.drained()
    assert twin.notices("alice") == []
    return view


async def test_errors_stand_under_their_fields(twin: SlackTwin, services: Services) -> None:
    async def judge(_: Call) -> Outcome:
        return Errors({"name": "This name is taken."}, FORM)

    view = await submitted(twin, services, judge)

    assert twin.errors_of(view) == {"name": "This name is taken."}


async def test_a_form_that_is_done_closes_and_says_so(twin: SlackTwin, services: Services) -> None:
    async def judge(call: Call) -> Outcome:
        return Close(then=lambda: call.say("Thank you"))

    await submitted(twin, services, judge)

    assert twin.views("alice") == []
    assert "Thank you" in text_of(twin.messages("@alice")[0])


async def test_a_form_that_cannot_be_judged_is_answered_in_words(
    twin: SlackTwin, services: Services
) -> None:
    async def judge(_: Call) -> Outcome:
        raise InvalidInput("The form is of no use", do="Open it again")

    view = await submitted(twin, services, judge)

    assert "The form is of no use" in text_of(view)


async def test_a_submission_that_takes_too_long_is_shown_its_outcome_later(
    twin: SlackTwin, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SUBMIT_SECONDS", 0.05)
    may_end = asyncio.Event()

    async def judge(_: Call) -> Outcome:
        await may_end.wait()
        return Show(notice_view("Here it is"))

    app = build_app(services)
    app.command("/pao")(listener(services, open_form))
    app.view("form")(submission_listener(services, judge))
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        view = await twin.view("alice", "form")
        await twin.submit("alice", view, {"name": "x"})
        assert "a little longer" in text_of(view)
        may_end.set()
        await twin.until(lambda: "Here it is" in text_of(view))


async def test_a_form_that_is_slow_to_draw_is_a_loading_view_first(
    twin: SlackTwin, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "OPENING_SECONDS", 0.01)
    may_end = asyncio.Event()

    async def work(call: Call) -> None:
        async def drawn() -> dict[str, Any]:
            await may_end.wait()
            return FORM

        await call.open(drawn(), reopen="form")

    app = build_app(services)
    app.command("/pao")(listener(services, work))
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        view = await twin.view("alice")
        assert "One moment" in text_of(view)
        may_end.set()
        await twin.until(lambda: "A form" in text_of(view))


async def test_a_menu_whose_options_fail_stays_empty(twin: SlackTwin, services: Services) -> None:
    async def suggest(_: Call) -> dict[str, Any]:
        raise RuntimeError("no")

    app = build_app(services)
    app.command("/pao")(listener(services, open_form))
    app.options("menu")(options_listener(services, suggest))
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        view = await twin.view("alice", "form")
        assert await twin.suggest("alice", view, "menu") == []


async def test_buttons_and_views_of_an_older_release_are_answered_in_words(
    twin: SlackTwin, services: Services
) -> None:
    async def work(call: Call) -> None:
        buttons = {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "action_id": "of_old",
                    "text": {"type": "plain_text", "text": "Old"},
                }
            ],
        }
        await call.say("look", [buttons])

    app = build_app(services)
    app.command("/pao")(listener(services, work))
    fallbacks.register(app, services)
    async with listening_on(services, app, twin):
        await twin.command("alice", "general", "/pao")
        await services.background.drained()
        [message] = twin.ephemerals("alice")
        await twin.click("alice", message, "of_old")
        await services.background.drained()
    assert "earlier release" in text_of(twin.ephemerals("alice")[-1])

    opener = build_app(services)
    opener.command("/pao")(listener(services, open_form))
    fallbacks.register(opener, services)
    async with listening_on(services, opener, twin):
        await twin.command("alice", "general", "/pao")
        view = await twin.view("alice", "form")
        await twin.submit("alice", view, {"name": "x"})
        await services.background.drained()
    assert twin.views("alice") == []
    assert "earlier release" in text_of(twin.messages("@alice")[-1])
