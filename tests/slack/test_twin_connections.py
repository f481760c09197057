"""The twin's connections: redelivery, refresh, tickets, signed requests, rates, failures."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import Installation, Playground
from bot.playground.faults import Fault
from engine.errors import ConfigurationError
from tests.support.slack_twin import SlackTwin


@pytest.fixture
async def twin():
    async with SlackTwin(ack_seconds=1.0, event_pauses=(0.0, 0.0)) as twin:
        yield twin


async def new_link(twin: SlackTwin, session: aiohttp.ClientSession):
    """Open a Socket Mode connection by hand, after the app token's ticket."""
    opened = await twin.client().apps_connections_open(app_token=twin.playground.app_token)
    link = await session.ws_connect(opened["url"])
    hello = await link.receive_json()
    assert hello["type"] == "hello"
    return link, opened["url"]


async def test_a_ticket_opens_one_connection(twin):
    async with aiohttp.ClientSession() as session:
        link, url = await new_link(twin, session)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)
        await link.close()


async def test_only_the_app_token_opens_connections(twin):
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        await twin.client().apps_connections_open(app_token=twin.playground.bot_token)


async def test_an_envelope_comes_again_when_the_connection_ends_before_its_ack(twin):
    async with aiohttp.ClientSession() as session:
        first, _ = await new_link(twin, session)
        sending = asyncio.create_task(twin.command("alice", "general", "/pao help"))
        lost = await first.receive_json()
        await first.close()
        second, _ = await new_link(twin, session)
        again = await second.receive_json()
        assert again == lost
        answer = {"envelope_id": again["envelope_id"], "payload": {"text": "late but there"}}
        await second.send_json(answer)
        await sending
        await second.close()
    assert [m.text for m in twin.ephemerals("alice")] == ["late but there"]


async def test_a_test_can_have_an_envelope_delivered_twice(twin):
    app = AsyncApp(client=twin.client(), request_verification_enabled=False)
    heard: list[str] = []

    @app.command("/pao")
    async def answer(ack, body):
        heard.append(body["trigger_id"])
        await ack("once more")

    async with twin.connected(app):
        await twin.command("alice", "general", "/pao help")
        assert await twin.deliver_again("slash_commands") == {"text": "once more"}
    assert len(heard) == 2
    assert len(set(heard)) == 1


async def test_an_event_is_sent_again_until_it_is_acknowledged(twin):
    async with aiohttp.ClientSession() as session:
        link, _ = await new_link(twin, session)
        twin.open_home("alice")
        envelopes = [await link.receive_json() for _ in range(2)]
        await link.send_json({"envelope_id": envelopes[1]["envelope_id"]})
        await link.close()
    assert [e["retry_attempt"] for e in envelopes] == [0, 1]
    assert len({e["payload"]["event_id"] for e in envelopes}) == 1


async def test_an_app_survives_refresh_and_loss_of_its_connection(twin):
    app = AsyncApp(client=twin.client(), request_verification_enabled=False)

    @app.command("/pao")
    async def answer(ack):
        await ack("still here")

    async with twin.connected(app) as handler:
        sockets = twin.playground.sockets
        first = sockets.opened
        await sockets.refresh()
        await twin.until(lambda: sockets.opened > first and sockets.connected == 1)
        second = sockets.opened
        await sockets.drop()
        await twin.until(lambda: sockets.opened > second and sockets.connected == 1)
        await twin.command("alice", "general", "/pao help")
        assert await handler.client.is_connected()
    assert twin.ephemerals("alice")[0].text == "still here"


async def test_signed_requests_reach_an_app_over_http():
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/slack/events"
    async with SlackTwin(request_url=address) as twin:
        app = AsyncApp(client=twin.client(), signing_secret=twin.playground.signing_secret)

        @app.command("/pao")
        async def answer(ack, command):
            await ack(text=f"by HTTP: {command['text']}", blocks=BUTTON)

        @app.action("press")
        async def pressed(ack, respond):
            await ack()
            await respond(text="pressed", replace_original=True)

        @app.event("app_home_opened")
        async def opened(event, client):
            await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": []})

        async with serving(app, listener):
            delivery = twin.playground.dispatch.delivery
            assert await delivery.verify()
            await twin.command("bob", "general", "/pao status")
            [shown] = twin.ephemerals("bob")
            assert shown.text == "by HTTP: status"
            await twin.click("bob", shown, "press")
            await twin.until(lambda: shown.text == "pressed")
            twin.open_home("bob")
            await twin.eventually(lambda: twin.home("bob"))
            delivery._secret = "another"
            await twin.command("bob", "general", "/pao status")
    assert "dispatch_failed" in twin.ephemerals("bob")[-1].text


BUTTON = [
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "press",
                "text": {"type": "plain_text", "text": "Press"},
            }
        ],
    }
]


@asynccontextmanager
async def serving(app: AsyncApp, listener: socket.socket):
    async def serve(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    server = web.Application()
    server.router.add_post("/slack/events", serve)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_the_published_rates_answer_429_with_retry_after(twin):
    client = twin.client()
    twin.faults.rate_limits = True
    await client.chat_postMessage(channel="#platform", text="one")
    await client.chat_postMessage(channel="#requests", text="another channel")
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="#platform", text="two")
    assert refused.value.response.status_code == 429
    assert refused.value.response["error"] == "ratelimited"
    assert int(refused.value.response.headers["Retry-After"]) >= 1


async def test_a_scripted_rate_limit_is_ridden_out_by_slack_sdk(twin):
    client = twin.client(retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=1)])
    twin.faults.rate_limit_next("chat.postMessage", retry_after=0)
    await client.chat_postMessage(channel="#platform", text="patient")
    assert [m.text for m in twin.messages("platform")] == ["patient"]


async def test_a_scripted_fault_strikes_once(twin):
    client = twin.client()
    twin.faults.next_calls("chat.update", Fault("fatal_error"))
    posted = await client.chat_postMessage(channel="#platform", text="one")
    with pytest.raises(SlackApiError, match="fatal_error"):
        await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="two")
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="two")
    assert [m.text for m in twin.messages("platform")] == ["two"]


async def test_a_taken_port_is_told_with_its_number_and_the_option():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}.*--port"):
            await Playground(port=port).start()


async def test_stop_is_fine_before_start_and_twice_and_start_works_again():
    playground = Playground()
    await playground.stop()
    for _ in range(2):
        await playground.start()
        client = AsyncWebClient(token=playground.bot_token, base_url=playground.api_url)
        assert (await client.auth_test())["ok"]
        await playground.stop()
    await playground.stop()


async def test_stop_in_the_middle_of_a_start_leaves_nothing():
    before = asyncio.all_tasks()
    playground = Playground()
    starting = asyncio.create_task(playground.start())
    await asyncio.sleep(0)
    await playground.stop()
    await starting
    await playground.stop()
    assert asyncio.all_tasks() == before
    with socket.create_server(("127.0.0.1", playground.port)):
        pass


async def test_stop_ends_an_open_event_stream():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with SlackTwin(token="t") as twin:
            await twin.browse(session, "?token=t")
            stream = await session.get(twin.playground.base_url + "web/events")
            assert await stream.content.readline() == b"data: changed\n"
        assert b"data" in await stream.content.read()


async def test_the_scopes_and_events_of_the_manifest_are_what_the_app_has():
    manifest = {
        "display_information": {"name": "PAO"},
        "features": {"slash_commands": [{"command": "/pao", "description": "Order"}]},
        "oauth_config": {"scopes": {"bot": ["chat:write"]}},
        "settings": {"event_subscriptions": {"bot_events": ["app_home_opened"]}},
    }
    async with SlackTwin(installation=Installation.from_manifest(manifest)) as twin:
        with pytest.raises(SlackApiError) as refused:
            await twin.client().users_info(user=twin.user("alice"))
        assert refused.value.response["error"] == "missing_scope"
        assert refused.value.response["needed"] == "users:read"
        with pytest.raises(SlackApiError, match="not_in_channel"):
            await twin.client().chat_postMessage(channel="#general", text="hello")
