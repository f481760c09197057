"""The connection to Slack comes back whatever happens to it, and stops without a trace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp

from bot.app import require_access, slack_client
from bot.socket_mode import SocketMode
from engine import ConfigurationError, Unreachable
from tests.support.eventually import eventually
from tests.support.slack_twin import SlackTwin


@pytest.fixture
async def twin() -> AsyncIterator[SlackTwin]:
    async with SlackTwin() as twin:
        yield twin


def app_on(twin: SlackTwin, heard: list[str] | None = None) -> AsyncApp:
    app = AsyncApp(client=twin.client(), signing_secret="unused")

    @app.command("/pao")
    async def listen(ack: Any, command: dict[str, Any]) -> None:
        await ack()
        if heard is not None:
            heard.append(command["text"])

    return app


def socket_mode(app: AsyncApp, twin: SlackTwin) -> SocketMode:
    return SocketMode(
        app, twin.playground.app_token, look_seconds=0.05, lost_seconds=0.1, ping_seconds=0.5
    )


async def test_it_hears_what_people_do(twin: SlackTwin) -> None:
    heard: list[str] = []
    service = socket_mode(app_on(twin, heard), twin)
    await service.start()
    try:
        await twin.command("alice", "general", "/pao catalog")
        assert heard == ["catalog"]
        assert service.connected
    finally:
        await service.stop()


async def test_stop_leaves_no_task_and_may_come_at_any_time(twin: SlackTwin) -> None:
    before = asyncio.all_tasks()
    service = socket_mode(app_on(twin), twin)

    await service.stop()
    await service.start()
    await service.stop()
    await service.stop()

    assert not service.connected
    await eventually(lambda: not (asyncio.all_tasks() - before) or None)


async def test_it_may_be_started_again(twin: SlackTwin) -> None:
    heard: list[str] = []
    service = socket_mode(app_on(twin, heard), twin)
    for _ in range(2):
        await service.start()
        await twin.command("alice", "general", "/pao help")
        await service.stop()

    assert heard == ["help", "help"]


async def test_a_refused_token_is_a_setting_that_is_wrong(twin: SlackTwin) -> None:
    service = SocketMode(app_on(twin), "xapp-of-somebody-else")

    with pytest.raises(ConfigurationError, match="SLACK_APP_TOKEN"):
        await service.start()
    await service.stop()


async def test_a_slack_that_does_not_answer_is_unreachable(twin: SlackTwin) -> None:
    app = app_on(twin)
    await twin.playground.stop()

    with pytest.raises(Unreachable, match="Slack cannot be reached"):
        await socket_mode(app, twin).start()


async def test_a_connection_that_breaks_is_replaced(twin: SlackTwin) -> None:
    heard: list[str] = []
    service = socket_mode(app_on(twin, heard), twin)
    await service.start()
    try:
        await twin.playground.sockets.drop()
        await eventually(lambda: twin.playground.sockets.connected > 0)
        await twin.command("alice", "general", "/pao catalog")
        assert heard == ["catalog"]
    finally:
        await service.stop()


async def test_after_an_outage_it_asks_for_a_new_address(twin: SlackTwin) -> None:
    """slack_sdk alone tries the old address, whose ticket is spent, for ever."""
    heard: list[str] = []
    service = socket_mode(app_on(twin, heard), twin)
    await service.start()
    try:
        twin.playground.sockets.accepting = False
        await twin.playground.sockets.drop()
        await eventually(lambda: not service.connected)
        twin.playground.sockets.accepting = True
        await eventually(lambda: service.rebuilds > 0 and service.connected)
        await twin.command("alice", "general", "/pao catalog")
        assert heard == ["catalog"]
    finally:
        await service.stop()


async def test_a_refused_bot_token_is_found_at_the_start(twin: SlackTwin) -> None:
    await require_access(slack_client(twin.playground.bot_token, twin.playground.api_url))

    with pytest.raises(ConfigurationError, match="SLACK_BOT_TOKEN"):
        await require_access(slack_client("xoxb-of-somebody-else", twin.playground.api_url))


async def test_an_unreachable_slack_is_found_at_the_start(twin: SlackTwin) -> None:
    address = twin.playground.api_url
    await twin.playground.stop()

    with pytest.raises(Unreachable, match="SLACK_API_URL"):
        await require_access(slack_client("xoxb-any", address))
