"""The twin against a real Bolt app in Socket Mode: every gesture arrives, every answer is shown."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.playground.inputs import Untypable
from tests.support.slack_twin import SlackTwin, text_of


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def field(block_id: str, element: dict[str, Any], **block: Any) -> dict[str, Any]:
    element = {"action_id": "value", **element}
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(block_id),
        "element": element,
        **block,
    }


def modal(*blocks: dict[str, Any], **view: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "order",
        "title": plain("Order"),
        "submit": plain("Order"),
        "blocks": list(blocks),
        **view,
    }


NAME = field("name", {"type": "plain_text_input", "max_length": 10})
COUNT = field(
    "count",
    {
        "type": "number_input",
        "is_decimal_allowed": False,
        "min_value": "1",
        "max_value": "9",
    },
    optional=True,
)


def button(action_id: str, text: str = "Press", **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "block_id": "buttons", "elements": list(elements)}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


@pytest.fixture
async def twin():
    async with SlackTwin(ack_seconds=1.0, event_pauses=(0.0, 0.0)) as twin:
        yield twin


class Recorded:
    """A Bolt app that keeps every payload and answers as the test says."""

    def __init__(self, twin: SlackTwin) -> None:
        self.twin = twin
        self.app = AsyncApp(client=twin.client(), request_verification_enabled=False)
        self.payloads: list[dict[str, Any]] = []

    def last(self, kind: str) -> dict[str, Any]:
        return [p for p in self.payloads if p.get("type") == kind or kind in p][-1]

    @asynccontextmanager
    async def opening(self, view: dict[str, Any]):
        """Run the app; `/pao` opens the view; yields the view as alice sees it."""
        app, payloads = self.app, self.payloads

        @app.command("/pao")
        async def command(ack, body, client):
            payloads.append(body)
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=view)

        @app.action(re.compile(".*"))
        async def action(ack, body):
            payloads.append(body)
            await ack()

        @app.view_closed(re.compile(".*"))
        async def closed(ack, body):
            payloads.append(body)
            await ack()

        async with self.twin.connected(app):
            await self.twin.command("alice", "general", "/pao")
            yield await self.twin.view("alice")

    def on_submit(self, **answer: Any) -> None:
        """Answer every submission of the form with an ack of that."""

        @self.app.view("order")
        async def submitted(ack, body):
            self.payloads.append(body)
            await ack(**answer)


@pytest.fixture
def recorded(twin):
    return Recorded(twin)


# Commands


async def test_a_command_is_answered_only_to_the_person(twin, recorded):
    @recorded.app.command("/pao")
    async def answer(ack, command):
        await ack(f"you said {command['text']}")

    async with twin.connected(recorded.app):
        await twin.command("alice", "general", "/pao catalog databases")
    assert [m.text for m in twin.ephemerals("alice")] == ["you said catalog databases"]
    assert twin.messages("general") == []
    assert twin.ephemerals("bob") == []


async def test_a_command_answered_in_channel_is_seen_by_all(twin, recorded):
    @recorded.app.command("/pao")
    async def answer(ack):
        await ack(text="hello all", response_type="in_channel")

    async with twin.connected(recorded.app):
        await twin.command("alice", "general", "/pao hello")
    assert [m.text for m in twin.messages("general")] == ["/pao hello", "hello all"]


async def test_a_command_without_acknowledgement_fails_before_the_person(twin, recorded):
    async with twin.connected(recorded.app):
        await twin.command("alice", "general", "/pao catalog")
    assert "operation_timeout" in twin.ephemerals("alice")[0].text


async def test_a_command_to_an_app_that_is_not_connected_fails(twin):
    await twin.command("alice", "general", "/pao catalog")
    assert "dispatch_failed" in twin.ephemerals("alice")[0].text


async def test_an_answer_that_breaks_the_limits_is_told_as_an_invalid_response(twin, recorded):
    @recorded.app.command("/pao")
    async def answer(ack):
        await ack(text="hi", blocks=[section("")])

    async with twin.connected(recorded.app):
        await twin.command("alice", "general", "/pao catalog")
    assert "invalid_command_response" in twin.ephemerals("alice")[0].text


async def test_an_unknown_command_never_reaches_the_app(twin):
    await twin.command("alice", "general", "/deploy now")
    assert "not a valid command" in twin.ephemerals("alice")[0].text


async def test_commands_do_not_work_in_threads(twin):
    await twin.say("alice", "general", "look at this")
    [root] = twin.messages("general")
    await twin.say("alice", "general", "/pao catalog", thread=root.ts)
    assert "not supported in threads" in twin.ephemerals("alice")[0].text


async def test_a_message_of_more_than_40000_characters_is_refused_in_words(twin):
    await twin.say("alice", "general", "🚀" * 40_001)
    [answer] = twin.ephemerals("alice")
    assert "1 characters too long" in answer.text
    await twin.say("alice", "general", "🚀" * 40_000)
    assert len(twin.messages("general")[0].text) == 40_000


# Modals


async def test_a_form_is_opened_filled_and_submitted(twin, recorded):
    recorded.on_submit()
    async with recorded.opening(modal(NAME, COUNT)) as form:
        await twin.submit("alice", form, {"name": "orders", "count": "3"})
        assert twin.views("alice") == []
    values = recorded.last("view_submission")["view"]["state"]["values"]
    assert values == {
        "name": {"value": {"type": "plain_text_input", "value": "orders"}},
        "count": {"value": {"type": "number_input", "value": "3"}},
    }


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({}, {"name"}),
        ({"name": "x" * 11}, {"name"}),
        ({"name": "ok", "count": "0"}, {"count"}),
        ({"name": "ok", "count": "10"}, {"count"}),
        ({"name": "ok", "count": "1.5"}, {"count"}),
        ({"name": "ok", "count": "many"}, {"count"}),
    ],
)
async def test_the_client_refuses_before_the_app_is_asked(twin, recorded, values, refused):
    recorded.on_submit()
    async with recorded.opening(modal(NAME, COUNT)) as form:
        await twin.submit("alice", form, values)
        assert set(twin.errors_of(form)) == refused
        assert twin.views("alice") == [form]
    assert not any(p.get("type") == "view_submission" for p in recorded.payloads)


async def test_errors_of_the_app_stand_under_their_fields_and_go_with_the_next_try(twin, recorded):
    answers = iter(
        [{"response_action": "errors", "errors": {"name": "Taken."}}, {"response_action": "clear"}]
    )

    @recorded.app.view("order")
    async def submitted(ack):
        await ack(**next(answers))

    async with recorded.opening(modal(NAME)) as form:
        await twin.submit("alice", form, {"name": "orders"})
        assert twin.errors_of(form) == {"name": "Taken."}
        await twin.submit("alice", form, {"name": "orders2"})
        assert twin.views("alice") == []


async def test_errors_for_a_block_that_is_no_input_are_trouble(twin, recorded):
    recorded.on_submit(response_action="errors", errors={"nowhere": "Wrong."})
    async with recorded.opening(modal(NAME)) as form:
        await twin.submit("alice", form, {"name": "orders"})
        assert form.trouble
        assert "nowhere" in twin.notices("alice")[0]


async def test_a_submission_without_acknowledgement_is_trouble_and_keeps_the_form(twin, recorded):
    async with recorded.opening(modal(NAME)) as form:
        await twin.submit("alice", form, {"name": "orders"})
        assert form.trouble == "We had some trouble connecting. Try again?"
        assert twin.values_of(form)["name"]["value"]["value"] == "orders"


async def test_an_update_by_response_keeps_what_was_typed(twin, recorded):
    second = modal({**NAME, "label": plain("New name")}, title=plain("Changed"))
    recorded.on_submit(response_action="update", view=second)
    async with recorded.opening(modal(NAME)) as form:
        before = form.hash
        await twin.submit("alice", form, {"name": "orders"})
        [same] = twin.views("alice")
        assert same.id == form.id
        assert same.hash != before
        assert same.content["title"]["text"] == "Changed"
        assert twin.values_of(same)["name"]["value"]["value"] == "orders"


async def test_views_stack_three_high_and_close_one_by_one(twin, recorded):
    app = recorded.app

    @app.view("order")
    async def submitted(ack, body):
        recorded.payloads.append(body)
        await ack(response_action="push", view=modal(NAME, notify_on_close=True))

    async with recorded.opening(modal(NAME)) as first:
        await twin.submit("alice", first, {"name": "a"})
        second = twin.views("alice")[-1]
        assert second.as_slack()["previous_view_id"] == first.id
        assert second.as_slack()["root_view_id"] == first.id
        await twin.submit("alice", second, {"name": "b"})
        third = twin.views("alice")[-1]
        await twin.submit("alice", third, {"name": "c"})
        assert third.trouble
        assert len(twin.views("alice")) == 3
        await twin.close("alice", third)
        assert twin.views("alice") == [first, second]
        await twin.until(lambda: recorded.payloads[-1]["type"] == "view_closed")
        assert recorded.payloads[-1]["is_cleared"] is False
        await twin.close("alice", second, everything=True)
        assert twin.views("alice") == []
        await twin.until(lambda: recorded.payloads[-1]["is_cleared"])


async def test_a_trigger_is_good_once_and_for_three_seconds(recorded):
    now = [1_700_000_000.0]
    async with SlackTwin(clock=lambda: now[0]) as twin:
        client, pull = twin.client(), twin.playground.views.pull_trigger
        alice = twin.user("alice")
        once = pull(alice)
        await client.views_open(trigger_id=once, view=modal(NAME))
        for trigger, word in ((once, "exchanged_trigger_id"), ("7.8.9", "invalid_trigger_id")):
            with pytest.raises(SlackApiError, match=word):
                await client.views_open(trigger_id=trigger, view=modal(NAME))
        late = pull(alice)
        now[0] += 3.0
        with pytest.raises(SlackApiError, match="expired_trigger_id"):
            await client.views_open(trigger_id=late, view=modal(NAME))


async def test_an_update_with_an_old_hash_is_refused(twin, recorded):
    async with recorded.opening(modal(NAME)) as form:
        client, old = twin.client(), form.hash
        await client.views_update(view_id=form.id, hash=old, view=modal(NAME, COUNT))
        with pytest.raises(SlackApiError, match="hash_conflict"):
            await client.views_update(view_id=form.id, hash=old, view=modal(NAME))
        assert len(form.blocks) == 2


async def test_an_update_keeps_values_where_both_ids_stay_and_ignores_new_initial_values(
    twin, recorded
):
    async with recorded.opening(modal(NAME, COUNT)) as form:
        twin.fill("alice", form, {"name": "typed"})
        preset = deepcopy(COUNT)
        preset["element"]["initial_value"] = "5"
        renamed = deepcopy(NAME)
        renamed["block_id"] = "name2"
        renamed["element"]["initial_value"] = "fresh"
        await twin.client().views_update(view_id=form.id, view=modal(NAME, preset, renamed))
        values = twin.values_of(form)
        assert values["name"]["value"]["value"] == "typed"
        assert values["count"]["value"]["value"] is None
        assert values["name2"]["value"]["value"] == "fresh"


async def test_an_external_id_names_one_view_only(twin, recorded):
    async with recorded.opening(modal(NAME, external_id="form-1")):
        client = twin.client()
        await client.views_update(external_id="form-1", view=modal(COUNT, external_id="form-1"))
        trigger = twin.playground.views.pull_trigger(twin.user("bob"))
        with pytest.raises(SlackApiError, match="duplicate_external_id"):
            await client.views_open(trigger_id=trigger, view=modal(NAME, external_id="form-1"))


async def test_nothing_typed_anywhere_is_an_empty_list(twin, recorded):
    recorded.on_submit()
    async with recorded.opening(modal(section("Sure?"))) as form:
        await twin.submit("alice", form)
    assert recorded.last("view_submission")["view"]["state"]["values"] == []


# Actions


async def test_an_input_tells_the_app_only_with_dispatch_action(twin, recorded):
    loud = field("kind", {"type": "static_select", "options": OPTIONS}, dispatch_action=True)
    quiet = field("size", {"type": "static_select", "options": OPTIONS})
    async with recorded.opening(modal(loud, quiet)) as form:
        await twin.click("alice", form, "size", "s")
        await twin.click("alice", form, "kind", "Large")
    sent = [p for p in recorded.payloads if p.get("type") == "block_actions"]
    assert [a["selected_option"]["value"] for p in sent for a in p["actions"]] == ["l"]
    assert sent[0]["view"]["state"]["values"]["size"]["value"]["selected_option"]["value"] == "s"
    assert "channel" not in sent[0]
    assert "response_url" not in sent[0]


OPTIONS = [{"text": plain("Small"), "value": "s"}, {"text": plain("Large"), "value": "l"}]


async def test_an_option_that_is_not_there_cannot_be_chosen(twin, recorded):
    chooser = field("kind", {"type": "static_select", "options": OPTIONS})
    async with recorded.opening(modal(chooser)) as form:
        with pytest.raises(Untypable, match="its options are: s, l"):
            await twin.click("alice", form, "kind", "xl")
        with pytest.raises(Untypable, match="no element 'colour'"):
            await twin.click("alice", form, "colour", "s")


async def test_a_button_in_a_message_carries_message_channel_and_response_url(twin, recorded):
    @recorded.app.action("approve")
    async def approve(ack, body, respond):
        recorded.payloads.append(body)
        await ack()
        await respond(text="approved", replace_original=True)

    async with twin.connected(recorded.app):
        await twin.client().chat_postMessage(
            channel="#platform", text="?", blocks=[actions(button("approve", value="req-1"))]
        )
        [message] = twin.messages("platform")
        await twin.click("bob", message, "approve")
        await twin.until(lambda: message.text == "approved")
    [sent] = recorded.payloads
    assert sent["actions"][0]["value"] == "req-1"
    assert sent["container"]["is_ephemeral"] is False
    assert sent["message"]["ts"] == message.ts
    assert sent["channel"]["name"] == "platform"
    assert message.blocks == []


async def test_an_ephemeral_list_pages_in_place_and_can_be_deleted(twin, recorded):
    app = recorded.app

    @app.command("/pao")
    async def command(ack, respond):
        await ack()
        await respond(text="page 1", blocks=[actions(button("next", "Next"))])

    @app.action("next")
    async def page(ack, body, respond):
        recorded.payloads.append(body)
        await ack()
        await respond(
            text="page 2", replace_original=True, blocks=[actions(button("done", "Done"))]
        )

    @app.action("done")
    async def done(ack, respond):
        await ack()
        await respond(delete_original=True)

    async with twin.connected(app):
        await twin.command("alice", "general", "/pao requests")
        [answer] = await twin.eventually(lambda: twin.ephemerals("alice"))
        await twin.click("alice", answer, "Next")
        await twin.until(lambda: answer.text == "page 2")
        await twin.click("alice", answer, "Done")
        await twin.until(lambda: twin.ephemerals("alice") == [])
    assert recorded.payloads[0]["container"]["is_ephemeral"] is True
    assert "message" not in recorded.payloads[0]


async def test_a_response_url_works_five_times_in_half_an_hour():
    now = [1_700_000_000.0]
    async with SlackTwin(clock=lambda: now[0]) as twin:
        workspace = twin.playground.workspace
        base = twin.playground.base_url + "response/"

        def address() -> str:
            return base + workspace.open_response_url(twin.channel("general"), twin.user("alice"))

        hook = AsyncWebhookClient(address())
        assert [(await hook.send(text=f"{n}")).status_code for n in range(6)] == [200] * 5 + [404]
        late = AsyncWebhookClient(address())
        now[0] += 30 * 60
        answer = await late.send(text="late")
        assert answer.status_code == 404
        assert "expired_url" in answer.body


async def test_an_external_select_asks_the_app_while_one_types(twin, recorded):
    app = recorded.app

    @app.options("value")
    async def options(ack, body):
        recorded.payloads.append(body)
        await ack(options=[{"text": plain(f"{body['value']}-db"), "value": "db-1"}])

    recorded.on_submit()
    picker = field("db", {"type": "external_select", "min_query_length": 2})
    async with recorded.opening(modal(picker, private_metadata="kept")) as form:
        assert await twin.suggest("alice", form, "db", "o") == []
        [option] = await twin.suggest("alice", form, "db", "or")
        assert option["text"]["text"] == "or-db"
        await twin.submit("alice", form, {"db": "db-1"})
    asked = recorded.last("block_suggestion")
    assert (asked["value"], asked["block_id"], asked["action_id"]) == ("or", "db", "value")
    assert asked["view"]["private_metadata"] == "kept"
    assert asked["view"]["state"]["values"] == {}
    assert "response_url" not in asked
    values = recorded.last("view_submission")["view"]["state"]["values"]
    assert values["db"]["value"]["selected_option"]["value"] == "db-1"


async def test_more_than_100_options_are_not_shown(twin, recorded):
    @recorded.app.options("value")
    async def options(ack):
        await ack(options=[{"text": plain("x"), "value": str(n)} for n in range(101)])

    picker = field("db", {"type": "external_select", "min_query_length": 0})
    async with recorded.opening(modal(picker)) as form:
        assert await twin.suggest("alice", form, "db") == []
        assert "no more than 100 items" in twin.notices("alice")[0]


async def test_a_click_without_acknowledgement_warns_the_person(twin, recorded):
    async with twin.connected(recorded.app):
        await twin.client().chat_postMessage(
            channel="#platform", text="?", blocks=[actions(button("nobody_listens"))]
        )
        await twin.click("bob", twin.messages("platform")[0], "nobody_listens")
    assert "did not respond" in twin.notices("bob")[0]


# Home, shortcuts, events


async def test_home_is_published_when_it_is_opened(twin, recorded):
    app = recorded.app

    @app.event("app_home_opened")
    async def opened(event, client):
        recorded.payloads.append(event)
        view = {"type": "home", "blocks": [section("Welcome"), actions(button("start"))]}
        await client.views_publish(user_id=event["user"], view=view)

    @app.action("start")
    async def start(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=modal(NAME))

    async with twin.connected(app):
        twin.open_home("alice")
        home = await twin.eventually(lambda: twin.home("alice"))
        assert "Welcome" in text_of(home)
        await twin.click("alice", home, "start")
        assert (await twin.view("alice")).content["title"]["text"] == "Order"
    assert twin.home("bob") is None
    assert recorded.payloads[0]["tab"] == "home"


async def test_a_global_shortcut_opens_a_view(twin, recorded):
    @recorded.app.shortcut("request_service")
    async def chosen(ack, shortcut, client):
        await ack()
        await client.views_open(trigger_id=shortcut["trigger_id"], view=modal(NAME))

    async with twin.connected(recorded.app):
        await twin.shortcut("carol", "request_service")
        await twin.view("carol")


async def test_a_changed_profile_is_told(twin, recorded):
    @recorded.app.event("user_change")
    async def changed(event):
        recorded.payloads.append(event)

    async with twin.connected(recorded.app):
        twin.change_person("bob", deleted=True)
        await twin.until(lambda: bool(recorded.payloads))
    assert recorded.payloads[0]["user"]["deleted"] is True


async def test_what_people_write_is_escaped_and_their_mentions_are_ids(twin, recorded):
    @recorded.app.event("app_mention")
    async def mentioned(event, say):
        recorded.payloads.append(event)
        await say(text="here", thread_ts=event["ts"])

    async with twin.connected(recorded.app):
        await twin.say("alice", "platform", "@pao <script> & @bob")
        [root] = twin.messages("platform")
        await twin.until(lambda: len(twin.thread("platform", root.ts)) == 1)
    assert root.text == "<@U0PAOBOT00> &lt;script&gt; &amp; <@U0BOB00000>"
