"""The twin against a real Bolt app in Socket Mode: every gesture arrives, every answer is shown."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from tests.support.slack_twin import SlackTwin

MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "order",
    "title": {"type": "plain_text", "text": "Order"},
    "submit": {"type": "plain_text", "text": "Order"},
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": {"type": "plain_text", "text": "Name"},
            "element": {"type": "plain_text_input", "action_id": "value", "max_length": 10},
        },
        {
            "type": "input",
            "block_id": "count",
            "optional": True,
            "label": {"type": "plain_text", "text": "Count"},
            "element": {
                "type": "number_input",
                "action_id": "value",
                "is_decimal_allowed": False,
                "min_value": "1",
                "max_value": "9",
            },
        },
    ],
}


@pytest.fixture
async def twin():
    async with SlackTwin(ack_seconds=1.0, event_pauses=(0.0,)) as twin:
        yield twin


def new_app(twin: SlackTwin) -> AsyncApp:
    return AsyncApp(client=twin.client(), request_verification_enabled=False)


async def test_a_command_is_answered_only_to_the_person(twin):
    app = new_app(twin)

    @app.command("/pao")
    async def answer(ack, command):
        await ack(f"you said {command['text']}")

    async with twin.connected(app):
        await twin.command("alice", "general", "/pao catalog databases")
    assert [m.text for m in twin.ephemerals("alice")] == ["you said catalog databases"]
    assert twin.messages("general") == []
    assert twin.ephemerals("bob") == []
