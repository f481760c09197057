"""The playground's page in a real browser, before a small Bolt app."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect
from slack_bolt.app.async_app import AsyncApp

from tests.support.chromium import new_page
from tests.support.slack_twin import SlackTwin

pytestmark = pytest.mark.browser

NASTY = "<img src=x onerror=alert(1)> *bold* & <https://example.com|link>"


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def option(value: str) -> dict[str, Any]:
    return {"text": plain(value.upper()), "value": value}


def field(block_id: str, element: dict[str, Any], **block: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(block_id),
        "element": {"action_id": "value", **element},
        **block,
    }


def form(*, size: bool) -> dict[str, Any]:
    blocks = [
        field("name", {"type": "plain_text_input"}),
        field(
            "kind",
            {"type": "radio_buttons", "options": [option("app"), option("db")]},
            dispatch_action=True,
        ),
        field("after", {"type": "external_select", "min_query_length": 1}, optional=True),
        field(
            "tags",
            {"type": "multi_static_select", "options": [option("a"), option("b"), option("c")]},
            optional=True,
        ),
        field("day", {"type": "datepicker"}, optional=True),
        field(
            "count",
            {"type": "number_input", "is_decimal_allowed": False, "max_value": "9"},
            optional=True,
        ),
    ]
    if size:
        blocks.insert(
            2, field("size", {"type": "static_select", "options": [option("s"), option("l")]})
        )
    return {
        "type": "modal",
        "callback_id": "order",
        "title": plain("Order"),
        "submit": plain("Order"),
        "notify_on_close": True,
        "blocks": blocks,
    }


def card(state: str) -> list[dict[str, Any]]:
    return [
        {"type": "header", "text": plain(":rocket: orders-db")},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"State: *{state}*"}},
        {
            "type": "actions",
            "block_id": "card",
            "elements": [
                {
                    "type": "button",
                    "action_id": "abort",
                    "style": "danger",
                    "text": plain("Abort"),
                    "confirm": {
                        "title": plain("Abort it?"),
                        "text": plain("It stops."),
                        "confirm": plain("Abort"),
                        "deny": plain("Keep"),
                    },
                },
                {"type": "overflow", "action_id": "more", "options": [option("logs")]},
            ],
        },
    ]


def small_app(twin: SlackTwin, heard: list[str]) -> AsyncApp:
    return follow(order(twin), heard)


def order(twin: SlackTwin) -> AsyncApp:
    """Register the way to the form, and the form."""
    app = AsyncApp(client=twin.client(), request_verification_enabled=False)

    @app.command("/pao")
    async def command(ack, respond, command):
        await ack()
        button = {"type": "button", "action_id": "start", "text": plain("Request")}
        entry = {"type": "mrkdwn", "text": f"*Database* {command['text']}"}
        await respond(
            text="catalog",
            blocks=[{"type": "section", "text": entry, "accessory": button}],
        )

    @app.action("start")
    async def start(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form(size=False))

    @app.action("value")
    async def chosen(ack, body, client):
        await ack()
        size = body["actions"][0]["selected_option"]["value"] == "db"
        view = body["view"]
        await client.views_update(view_id=view["id"], hash=view["hash"], view=form(size=size))

    @app.options("value")
    async def options(ack, body):
        await ack(options=[option(f"{body['value']}{n}") for n in range(3)])

    return app


def follow(app: AsyncApp, heard: list[str]) -> AsyncApp:
    """Register what follows an order: its card and its thread, closing, Home."""

    @app.view("order")
    async def submitted(ack, view, client):
        values = view["state"]["values"]
        name = values["name"]["value"]["value"]
        if name == "taken":
            await ack(response_action="errors", errors={"name": "This name is taken."})
            return
        await ack()
        heard.append(str(values))
        posted = await client.chat_postMessage(
            channel="#platform", text=name, blocks=card("running")
        )
        for text in ("accepted", NASTY):
            await client.chat_postMessage(channel="#platform", thread_ts=posted["ts"], text=text)

    @app.view_closed("order")
    async def closed(ack):
        await ack()
        heard.append("closed")

    @app.action(re.compile("abort|more"))
    async def pressed(ack, body, client):
        await ack()
        heard.append(body["actions"][0]["action_id"])
        await client.chat_update(
            channel=body["channel"]["id"],
            ts=body["message"]["ts"],
            text="orders-db",
            blocks=card("aborted"),
        )

    @app.event("app_home_opened")
    async def home(event, client):
        blocks = [{"type": "header", "text": plain(f"Home of {event['user']}")}]
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    @app.event("message")
    async def message():
        pass

    return app


async def open_form(page: Page) -> None:
    box = page.get_by_test_id("message-box")
    await box.fill("/pao catalog")
    await box.press("Enter")
    await page.get_by_test_id("ephemeral").get_by_role("button", name="Request").click()
    await expect(page.get_by_test_id("modal")).to_be_visible()


async def test_a_person_orders_in_the_browser():
    heard: list[str] = []
    async with SlackTwin() as twin, new_page() as page, twin.connected(small_app(twin, heard)):
        await page.goto(twin.playground.url)
        await expect(page.get_by_test_id("engine-toggle")).to_be_hidden()
        await open_form(page)
        await refused_by_client_then_by_app(page)
        await filled_in(page)
        await page.get_by_test_id("modal-submit").click()
        await expect(page.get_by_test_id("modal")).to_be_hidden()
        assert "'size': {'value': {'type': 'static_select'" in heard[0]
        assert "'value': 'x1'" in heard[0]
        assert "'selected_date': '2026-12-24'" in heard[0]
        await followed_in_thread(page)
        await pressed_on_card(page, heard)
        await seen_by_another(page)


async def refused_by_client_then_by_app(page: Page) -> None:
    submit = page.get_by_test_id("modal-submit")
    await submit.click()
    await expect(page.get_by_test_id("error-name")).to_contain_text("required")
    await expect(page.get_by_test_id("error-kind")).to_contain_text("required")
    await expect(page.get_by_label("name")).to_be_focused()
    await page.get_by_label("name").fill("taken")
    await page.get_by_label("DB").check()
    await expect(page.get_by_label("size")).to_be_visible()
    await expect(page.get_by_label("name")).to_have_value("taken")
    await page.get_by_label("size").select_option("l")
    await submit.click()
    await expect(page.get_by_test_id("error-name")).to_have_text("This name is taken.")


async def filled_in(page: Page) -> None:
    await page.get_by_label("name").fill("orders-db")
    await page.get_by_label("after").press_sequentially("x")
    await page.get_by_test_id("option-x1").click()
    await expect(page.get_by_label("after")).to_have_value("X1")
    tags = page.get_by_label("tags")
    await tags.click()
    await page.get_by_test_id("option-b").click()
    await tags.press("ArrowDown")
    await tags.press("ArrowDown")
    await tags.press("Enter")
    await expect(page.locator(".chip")).to_have_text([re.compile("^B"), re.compile("^C")])
    await tags.press("Escape")
    await expect(page.get_by_test_id("modal")).to_be_visible()
    await page.get_by_label("day").fill("2026-12-24")


async def followed_in_thread(page: Page) -> None:
    await page.get_by_test_id("channel-platform").click()
    await expect(page.get_by_test_id("message")).to_contain_text("🚀 orders-db")
    await page.get_by_test_id("thread-open").click()
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text("accepted")
    await expect(thread).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(thread.locator("img")).to_have_count(0)
    await expect(thread.locator("strong", has_text="bold")).to_be_visible()
    await expect(thread.get_by_role("link", name="link")).to_have_attribute(
        "href", "https://example.com"
    )
    await page.get_by_test_id("reply-box").fill("thank you")
    await page.get_by_test_id("reply-box").press("Enter")
    await expect(thread).to_contain_text("thank you")
    await page.get_by_test_id("thread-close").click()


async def pressed_on_card(page: Page, heard: list[str]) -> None:
    heard.clear()
    messages = page.get_by_test_id("messages")
    await messages.get_by_test_id("action-abort").click()
    await page.get_by_test_id("confirm-no").click()
    await messages.get_by_test_id("action-abort").click()
    await page.get_by_test_id("confirm-yes").click()
    await expect(messages).to_contain_text("State: aborted")
    await messages.get_by_test_id("action-more").click()
    await page.get_by_test_id("option-logs").click()
    await expect(page.get_by_role("menu")).to_be_hidden()
    assert heard[0] == "abort"


async def seen_by_another(page: Page) -> None:
    await page.get_by_test_id("person-bob").click()
    await page.get_by_test_id("channel-general").click()
    await expect(page.get_by_test_id("ephemeral")).to_have_count(0)
    await page.get_by_test_id("channel-app").click()
    await expect(page.get_by_test_id("home-view")).to_contain_text("Home of U0BOB00000")


async def test_the_keyboard_suffices_and_escape_closes_a_form():
    heard: list[str] = []
    async with SlackTwin() as twin, new_page() as page, twin.connected(small_app(twin, heard)):
        await page.goto(twin.playground.url)
        box = page.get_by_test_id("message-box")
        await expect(box).to_be_focused()
        await box.press_sequentially("/p")
        await expect(page.get_by_test_id("suggestion-pao")).to_be_visible()
        await box.press("Enter")
        await expect(box).to_have_value("/pao ")
        await box.press("Enter")
        request = page.get_by_test_id("ephemeral").get_by_role("button", name="Request")
        await request.focus()
        await request.press("Enter")
        modal = page.get_by_test_id("modal")
        await expect(page.get_by_label("name")).to_be_focused()
        for _ in range(20):
            await page.keyboard.press("Tab")
            assert await modal.evaluate("node => node.contains(document.activeElement)")
        await page.keyboard.press("Escape")
        await expect(modal).to_be_hidden()
        await expect(request).to_be_focused()
        await twin.until(lambda: heard == ["closed"])


async def test_a_full_message_box_is_answered_in_words():
    async with SlackTwin() as twin, new_page() as page:
        await page.goto(twin.playground.url)
        box = page.get_by_test_id("message-box")
        await box.fill("🚀" * 40_001)
        await expect(page.get_by_text("1 characters too long")).to_be_visible()
        await box.press("Enter")
        await expect(page.get_by_test_id("ephemeral")).to_contain_text("It was not sent")
        await box.fill("🚀" * 40_000)
        await box.press("Enter")
        await expect(page.get_by_test_id("message")).to_have_count(1)


async def test_slacks_bad_days_are_switched_in_the_page():
    async with SlackTwin() as twin, new_page() as page:
        await page.goto(twin.playground.url)
        await page.get_by_test_id("weather").click()
        await page.get_by_test_id("weather-failing").click()
        await expect(page.get_by_test_id("weather")).to_have_text("Slack is failing")
        assert twin.faults.failing


MRKDWN = [
    ("*bold* and _italic_ and ~gone~", "<strong>bold</strong> and <em>italic</em> and <s>gone</s>"),
    ("a*b*c 2*3*4 snake_case_name", "a*b*c 2*3*4 snake_case_name"),
    ("`*code*`", "<code>*code*</code>"),
    ("```\n<b> *x*\n```", "<pre><code>&lt;b&gt; *x*</code></pre>"),
    ("&lt;!channel&gt; &amp;amp;", "&lt;!channel&gt; &amp;amp;"),
    ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ("<javascript:alert(1)|click>", "&lt;javascript:alert(1)|click&gt;"),
    ('<https://e.com/?a=1&amp;b="|x&lt;y>', "<a>x&lt;y</a>"),
    ("<@U0BOB00000>", '<span class="mention">@Bob Okafor</span>'),
    ("<!channel>", '<span class="mention">@channel</span>'),
    ("&gt; quoted\nplain", "<blockquote>quoted</blockquote>plain"),
    (":tada: :unknown_word:", "🎉 :unknown_word:"),
    ("one\ntwo", "one<br>two"),
    ("see https://e.com/a_b?x=1&amp;y=2.", "see <a>https://e.com/a_b?x=1&amp;y=2</a>."),
]


async def test_mrkdwn_is_drawn_as_slack_draws_it_and_never_as_markup():
    async with SlackTwin() as twin, new_page() as page:
        await page.goto(twin.playground.url)
        drawn = await page.evaluate(
            """async (texts) => {
              const { mrkdwn } = await import("/static/mrkdwn.js");
              const names = { person: () => "Bob Okafor", channel: () => "general" };
              return texts.map((text) => {
                const root = document.createElement("div");
                root.append(...mrkdwn(text, names));
                for (const a of root.querySelectorAll("a")) {
                  if (a.rel !== "noopener noreferrer" || a.target !== "_blank") throw a.href;
                  for (const name of ["href", "rel", "target"]) a.removeAttribute(name);
                }
                return root.innerHTML;
              });
            }""",
            [text for text, _ in MRKDWN],
        )
    assert drawn == [html for _, html in MRKDWN]


async def test_a_verbatim_text_makes_no_link_of_a_bare_address():
    text = {"type": "mrkdwn", "text": "see https://e.com/a", "verbatim": True}
    async with SlackTwin() as twin, new_page() as page:
        await page.goto(twin.playground.url)
        drawn = await page.evaluate(
            """async (text) => {
              const { textObject } = await import("/static/mrkdwn.js");
              const root = document.createElement("div");
              root.append(...textObject(text, {}));
              return root.innerHTML;
            }""",
            text,
        )
    assert drawn == "see https://e.com/a"


class OneRequest:
    """An engine with one request of three steps, and the two instances that it made."""

    async def requests(self):
        row = {"id": "req-1", "kind": "create", "title": "orders-db", "state": "in_progress"}
        return [{**row, "requester": "U0ALICE000", "created_at": "2026-11-24T10:00:00Z"}]

    async def request(self, request_id: str):
        attempt = {"number": 1, "state": "failed", "error": "<b>no quota</b>", "log": "creating"}
        steps = [
            {
                "id": f"database/{name}",
                "name": name,
                "component": "database",
                "type": "HttpPost",
                "state": state,
                "depends_on": after,
                "attempts": made,
            }
            for name, state, after, made in (
                ("register", "completed", [], []),
                ("create", "failed", ["database/register"], [attempt]),
                ("announce", "pending", ["database/create"], []),
            )
        ]
        return {**(await self.requests())[0], "id": request_id, "steps": steps}

    async def instances(self):
        row = {"item": "postgres", "version": "1.0.0", "state": "active", "team": "payments"}
        return [{"id": f"si-{name}", "name": name, **row} for name in ("db", "app")]

    async def instance(self, instance_id: str):
        db, app = await self.instances()
        graph = [{**db, "after": []}, {**app, "after": ["si-db"]}]
        if instance_id == "si-db":
            return {**db, "outputs": {"port": 5432}, "members": [], "graph": graph}
        return {**app, "outputs": {}, "members": ["si-db"], "graph": graph}


async def test_the_engine_is_shown_at_work_beside_the_conversation():
    async with SlackTwin(panel=OneRequest()) as twin, new_page() as page:
        await page.goto(twin.playground.url)
        await page.get_by_test_id("engine-toggle").click()
        panel = page.get_by_test_id("engine")
        await expect(panel).to_contain_text("create · Alice Martin · req-1")
        await expect(panel.get_by_role("button", name="announce, pending")).to_be_visible()
        await expect(panel.locator("svg")).to_contain_text("database · Htt")
        await expect(panel).to_contain_text("<b>no quota</b>")
        await expect(panel.locator(".log")).to_have_text("creating")
        await panel.get_by_role("button", name="register, completed").click()
        await expect(panel).to_contain_text("Not started yet.")
        await page.get_by_test_id("engine-instances").click()
        await expect(panel).to_contain_text("5432")
        await panel.get_by_role("button", name="app, active").click()
        await expect(panel.locator("svg")).to_contain_text("member: postgr")
        await expect(panel.get_by_test_id("engine-detail").get_by_role("heading")).to_contain_text(
            "app"
        )
        await panel.get_by_role("button", name="Close the engine panel").click()
        await expect(panel).to_be_hidden()
