"""The playground's messages outlive a restart; what only one person saw does not."""

import json
from pathlib import Path

import pytest

from bot.demo_memory import Memory
from bot.playground.memory import restore, state_of
from bot.playground.workspace import Workspace, default_people, default_teams
from tests.support.slack_twin import SlackTwin

NUMBERED = {"ts": 17.000001, "channel": 1, "user": 2, "text": 3, "blocks": 4} | dict.fromkeys(
    ("thread_ts", "only_for", "edited", "metadata")
)
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "in progress"}}]


async def test_a_card_is_edited_after_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "slack.json")
    async with SlackTwin(memory=memory) as twin:
        client = twin.client()
        posted = await client.chat_postMessage(channel="C0GENERAL0", text="card", blocks=BLOCKS)
        await client.chat_postMessage(
            channel="C0GENERAL0", thread_ts=posted["ts"], text="a reply in its thread"
        )
        await client.chat_postEphemeral(channel="C0REQUESTS", user="U0ALICE000", text="secret-word")

    async with SlackTwin(memory=memory) as twin:
        (card,) = twin.messages("general")
        assert [reply.text for reply in twin.thread("general", card.ts)] == [
            "a reply in its thread"
        ]
        await twin.client().chat_update(channel="C0GENERAL0", ts=posted["ts"], text="done")
        later = await twin.client().chat_postMessage(channel="C0GENERAL0", text="later")

        assert twin.messages("general")[0].text == "done"
        assert float(later["ts"]) > float(posted["ts"])
    assert "secret-word" not in (tmp_path / "slack.json").read_text()
    assert (tmp_path / "slack.json").stat().st_mode & 0o777 == 0o600


async def test_messages_are_kept_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "slack.json"
    async with SlackTwin(memory=Memory(path)) as twin:
        await twin.client().chat_postMessage(channel="C0GENERAL0", text="kept at once")

        await twin.until(lambda: path.exists() and "kept at once" in path.read_text())


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[]",
        "{}",
        '{"messages": {"C0GENERAL0": [{"nothing": 1}, 7, {"ts": "x"}]}}',
        '{"messages": {"X": 1}}',
        json.dumps({"messages": {"C0GENERAL0": [NUMBERED]}}),
        '{"messages": 7}',
    ],
)
def test_a_file_of_another_release_is_an_empty_workspace(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "slack.json"
    path.write_text(kept)
    workspace = Workspace(default_people(), default_teams())

    restore(workspace, Memory(path).read())

    assert all(rows == [] for rows in state_of(workspace)["messages"].values())
    json.dumps(state_of(workspace))
