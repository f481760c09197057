"""Slack over HTTP: the same app behind one endpoint, and nothing passes without a signature."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from bot.app import LARGEST_BODY, Services, build_app, http_endpoint, slack_client
from bot.listening import Call, listener
from bot.process import running
from bot.serving import AsgiServer
from tests.support.slack_twin import SlackTwin, text_of

TYPED = {"command": "/pao", "text": "", "user_id": "U0ALICE000", "channel_id": "C0GENERAL0"}


@pytest.fixture
async def twin() -> AsyncIterator[SlackTwin]:
    async with SlackTwin() as twin:
        yield twin


async def on_command(call: Call) -> None:
    await call.say("heard over HTTP")


async def _unannounced() -> AsyncIterator[bytes]:
    yield b"payload="


def server_of(twin: SlackTwin, services: Services, signing_secret: str | None) -> AsgiServer:
    app = build_app(services, signing_secret=signing_secret)
    app.command("/pao")(listener(services, on_command))
    route = Route("/slack/events", http_endpoint(app), methods=["POST"])
    web = Starlette(routes=[route])
    return AsgiServer(web, name="The test", host="127.0.0.1", port=0, remedy="")


@pytest.mark.parametrize("signed", [True, False])
async def test_only_what_slack_has_signed_is_heard(twin: SlackTwin, signed: bool) -> None:
    client = slack_client(twin.playground.bot_token, twin.playground.api_url)
    services = Services.of(client, None)  # type: ignore[arg-type]
    secret = twin.playground.signing_secret if signed else None
    server = server_of(twin, services, secret)
    async with running(services.background), running(server):
        twin.playground.deliver_to(f"http://127.0.0.1:{server.port}/slack/events")
        await twin.command("alice", "general", "/pao")
        await services.background.drained()

        async with httpx.AsyncClient() as stranger:
            address = f"http://127.0.0.1:{server.port}/slack/events"
            assert (await stranger.post(address, data=TYPED)).status_code == 401
            large = await stranger.post(address, content=bytes(LARGEST_BODY + 1))
            assert large.status_code == 413
            assert (await stranger.post(address, content=_unannounced())).status_code == 413

    told = "\n".join(text_of(message) for message in twin.ephemerals("alice"))
    assert ("heard over HTTP" in told) is signed
