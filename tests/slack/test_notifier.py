"""The card and its thread: told once, in the right place, whatever Slack does meanwhile."""

from dataclasses import replace
from pathlib import Path

from bot.notifier import READER, Notifier
from bot.process import running
from engine import Actor, Event, Submission
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

GENERAL, REQUESTS = "C0GENERAL0", "C0REQUESTS"


async def alice(bot: RunningBot) -> Actor:
    return await bot.services.identity.actor("U0ALICE000")


async def submitted(
    bot: RunningBot, channel: str | None = GENERAL, item: str = "flaky-queue"
) -> str:
    view = await bot.engine.submit(
        await alice(bot), Submission(parameters={}, item=item, origin_channel=channel)
    )
    return view.request_id


async def test_without_a_channel_it_is_told_by_direct_message(bot: RunningBot) -> None:
    await submitted(bot, None)

    card = await bot.card("@alice", "has failed")
    await bot.twin.until(lambda: "Accepted" in bot.thread(card, "@alice"))


async def test_the_documents_channel_comes_first(bot: RunningBot, catalog: GitRepository) -> None:
    path = "catalog/messaging/flaky-queue.yaml"
    text = (catalog.path / path).read_text()
    catalog.commit({path: text.replace("owner: platform", f"owner: platform\nchannel: {REQUESTS}")})
    await bot.engine.sync_catalog(None, trigger="interval")

    await submitted(bot)

    assert await bot.card("requests", "has failed")
    assert bot.twin.messages("general") == []


async def test_an_archived_channel_counts_as_none(bot: RunningBot) -> None:
    bot.twin.channel("general").archived = True
    await submitted(bot)

    assert await bot.card("@alice", "has failed")


async def test_a_channel_that_is_archived_meanwhile_moves_the_thread(bot: RunningBot) -> None:
    request_id = await submitted(bot)
    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "OPS-1" in bot.thread(card))
    bot.twin.channel("general").archived = True

    await bot.engine.abort(await alice(bot), request_id, reason="moved")

    moved = await bot.card("@alice", "is aborted")
    await bot.twin.until(lambda: "moved" in bot.thread(moved, "@alice"))


async def test_a_deleted_card_is_posted_again(bot: RunningBot) -> None:
    request_id = await submitted(bot)
    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "OPS-1" in bot.thread(card))
    bot.twin.channel("general").messages.remove(card)

    await bot.engine.abort(await alice(bot), request_id, reason="enough")

    assert await bot.card(holding="is aborted")


async def test_an_event_that_comes_twice_is_told_once(bot: RunningBot) -> None:
    request_id = await submitted(bot)
    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "OPS-1" in bot.thread(card) and "has failed" in bot.thread(card))

    async def is_all_told() -> bool:
        return not await bot.engine.untold_events(request_id)

    await eventually(is_all_told)
    place = await eventually(lambda: bot.engine.conversation(request_id))
    assert place is not None
    view = await bot.engine.request(READER, request_id)

    again = Notifier(bot.services)
    async with running(again):
        for event_id in place.told_events:
            await again.handle(Event(event_id, "request.failed", view.created_at, {}, request_id))

    texts = [message.text for message in bot.twin.thread("general", card.ts)]
    assert len(texts) == len(set(texts)), texts
    assert len(bot.twin.messages("general")) == 1


async def test_a_rate_limited_channel_does_not_hold_up_another(bot: RunningBot) -> None:
    bot.twin.faults.rate_limit_next("chat.postMessage", retry_after=3)
    await submitted(bot, GENERAL)
    await submitted(bot, REQUESTS)

    assert await bot.card("requests", "has failed")
    assert await bot.card("general", "has failed")


async def test_work_goes_on_while_slack_is_down_and_the_thread_catches_up(
    bot: RunningBot,
) -> None:
    await alice(bot)
    bot.twin.faults.offline = True
    request_id = await submitted(bot)

    async def has_failed() -> bool:
        return (await bot.engine.request(READER, request_id)).status == "failed"

    await eventually(has_failed)
    assert bot.twin.messages("general") == []
    bot.twin.faults.offline = False

    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "It has failed" in bot.thread(card))


async def test_a_card_that_fell_behind_is_drawn_when_the_notifier_starts(bot: RunningBot) -> None:
    request_id = await submitted(bot)
    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "OPS-1" in text_of(card))
    place = await eventually(lambda: bot.engine.conversation(request_id))
    assert place is not None
    card.blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "old"}}]
    await bot.engine.keep_conversation(request_id, replace(place, card_hash="old"))
    await bot.engine.abort(await alice(bot), request_id, reason="late")

    async with running(Notifier(bot.services)):
        await bot.twin.until(lambda: "is aborted" in text_of(card))


async def test_a_sync_is_summed_up_in_the_channel_for_it(
    dsn: str, catalog: GitRepository, tmp_path: Path
) -> None:
    async with running_bot(dsn, catalog.url, tmp_path / "data", notify_channel=REQUESTS) as bot:
        path = "catalog/messaging/flaky-queue.yaml"
        text = (catalog.path / path).read_text()
        catalog.commit({path: text.replace("version: 1.0.0", "version: 1.1.0")})
        await bot.engine.sync_catalog(None, trigger="interval")

        told = await bot.card("requests", "1.0.0 → 1.1.0")
        assert "flaky-queue" in text_of(told)


async def test_foreign_text_can_neither_mention_nor_link(bot: RunningBot) -> None:
    await bot.engine.submit(
        await alice(bot),
        Submission(
            parameters={},
            item="flaky-queue",
            instance_name="<!channel> <https://evil.example|click> & *bold*",
            origin_channel=GENERAL,
        ),
    )
    card = await bot.card(holding="has failed")
    told = text_of(card) + bot.thread(card)

    assert "<!channel>" not in told
    assert "<https://evil.example" not in told
    assert "&lt;!channel&gt;" in told
