"""What people are told outside the threads of their own requests, and reminders inside them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.announcements import Announcements
from bot.messages.blocks import section
from bot.messages.directs import Asks, Direct
from engine import Event, Submission, Unavailable
from engine.events import NewEvent
from engine.store import events
from engine.store import requests as request_store
from engine.store.pool import transaction
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

ALICE, BOB, CAROL = "U0ALICE000", "U0BOB00000", "U0CAROL000"


async def happens(bot: RunningBot, kind: str, data: dict[str, Any], request_id: str = "") -> None:
    """Write an event as the engine does, once somebody reads events: what was before is not told."""

    async def is_read() -> bool:
        async with transaction(bot.engine._pool) as connection:
            found = await connection.execute("SELECT 1 FROM consumers WHERE name = 'slack'")
            return await found.fetchone() is not None

    await eventually(is_read)
    async with transaction(bot.engine._pool) as connection:
        found = await request_store.matching_ids(connection, request_id) if request_id else []
        await events.write(connection, NewEvent(kind, found[0] if found else None, data=data))


def operation(at: int, name: str = "orders") -> dict[str, Any]:
    return {
        "instance_id": f"si-{at}",
        "instance_name": name,
        "operation_type": "update",
        "operation_name": "resize-storage",
        "operation_version": "1.1.0",
    }


async def failed_request(bot: RunningBot) -> str:
    alice = await bot.services.identity.actor(ALICE)
    view = await bot.engine.submit(
        alice, Submission(parameters={}, item="flaky-queue", origin_channel="C0GENERAL0")
    )
    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "OPS-1" in bot.thread(card))
    return view.request_id


async def test_an_owner_gets_one_digest_of_what_is_due_with_a_button_for_each_service(
    bot: RunningBot,
) -> None:
    data = {"owner_user_id": ALICE, "operations": [operation(1), operation(2, "<!here>")]}
    await happens(bot, "operations.eligible", data)

    digest = await bot.card("@alice", "can be brought up to date")
    assert "2 services of yours" in text_of(digest)
    assert "resize-storage 1.1.0 (update)" in text_of(digest)
    assert "<!here>" not in text_of(digest)
    buttons = [block["accessory"] for block in digest.blocks if "accessory" in block]
    assert [button["value"] for button in buttons] == ["si-1", "si-2"]


async def test_a_digest_of_hundreds_of_services_fits(bot: RunningBot) -> None:
    many = [operation(at, "x" * 255) for at in range(50)]
    await happens(
        bot, "operations.eligible", {"owner_user_id": ALICE, "operations": many, "total": 400}
    )

    assert "There is more" in text_of(await bot.card("@alice", "50 services"))


async def test_each_owner_of_a_dependent_hears_once_that_its_provider_is_degraded(
    bot: RunningBot,
) -> None:
    dependents = [
        {"instance_id": "si-a", "instance_name": "shop", "owner_user_id": ALICE},
        {"instance_id": "si-b", "instance_name": "till", "owner_user_id": ALICE},
        {"instance_id": "si-c", "instance_name": "stock", "owner_user_id": BOB},
        {"instance_id": "si-d", "instance_name": "cron", "owner_user_id": "cli:root"},
    ]
    request_id = await failed_request(bot)
    await happens(
        bot,
        "instance.provider_degraded",
        {"provider": "si-p", "provider_name": "orders-db", "dependents": dependents},
        request_id,
    )

    told = text_of(await bot.card("@alice", "is degraded"))
    assert "orders-db" in told
    assert "`si-a`" in told
    assert "`si-b`" in told
    assert "`si-c`" not in told
    assert "`si-c`" in text_of(await bot.card("@bob", "is degraded"))
    await bot.settled()
    assert len(bot.twin.messages("@alice")) == len(bot.twin.messages("@bob")) == 1


async def test_an_open_ticket_is_recalled_in_the_thread_and_then_to_the_owners(
    bot: RunningBot,
) -> None:
    request_id = await failed_request(bot)
    card = await bot.card(holding="has failed")
    await happens(bot, "ticket.reminded", {"ticket_id": "OPS-1", "times": 1}, request_id)
    await bot.twin.until(lambda: "is still open" in bot.thread(card))

    reminder = next(m for m in bot.twin.thread("general", card.ts) if "is still open" in text_of(m))
    assert "<!subteam^S0PLATFORM>" in text_of(reminder)
    assert bot.twin.messages("@carol") == []

    await happens(bot, "ticket.reminded", {"ticket_id": "OPS-1", "times": 2}, request_id)
    assert request_id in text_of(await bot.card("@carol", "is still open"))

    await bot.twin.click("alice", reminder, "Resolve")
    assert await bot.twin.view("alice", "resolve_form")


async def test_a_person_who_takes_no_message_does_not_hold_up_the_others(bot: RunningBot) -> None:
    await happens(
        bot, "operations.eligible", {"owner_user_id": "UNOBODY", "operations": [operation(1)]}
    )
    await happens(bot, "operations.eligible", {"owner_user_id": BOB, "operations": [operation(2)]})

    assert await bot.card("@bob", "1 service of yours")

    async def is_all_told() -> bool:
        return not await bot.engine.untold_events(None)

    await eventually(is_all_told)


async def test_what_was_not_told_before_a_stop_is_told_afterwards(
    dsn: str, catalog: GitRepository, tmp_path: Path
) -> None:
    async with running_bot(dsn, catalog.url, tmp_path / "data") as bot:
        bot.twin.faults.offline = True
        await happens(
            bot, "operations.eligible", {"owner_user_id": BOB, "operations": [operation(1)]}
        )

        async def is_kept() -> bool:
            return bool(await bot.engine.untold_events(None))

        await eventually(is_kept)
    async with running_bot(dsn, catalog.url, tmp_path / "data") as bot:
        assert await bot.card("@bob", "1 service of yours")


async def test_who_was_written_to_before_a_death_is_not_written_to_again(bot: RunningBot) -> None:
    await happens(bot, "something.else", {})
    async with transaction(bot.engine._pool) as connection:
        found = await connection.execute("SELECT id, at FROM events WHERE kind = 'something.else'")
        id_, at = await found.fetchone() or (0, None)
    event = Event(id_, "something.else", at, {})
    await bot.engine.keep_untold(event.id)
    to_alice, to_bob = (Direct(one, "Look here", [section("Look here")]) for one in (ALICE, BOB))

    await Announcements(bot.engine, bot.services.client).write(event, [to_alice])
    await Announcements(bot.engine, bot.services.client).write(event, [to_alice, to_bob])

    assert await bot.card("@bob", "Look here")
    assert len(bot.twin.messages("@alice")) == 1


async def test_who_was_written_to_before_the_database_went_away_is_not_written_to_again(
    bot: RunningBot,
) -> None:
    asking = Direct(ALICE, "Look here", [section("Look here")], Asks(None))
    event = Event(1, "something.else", datetime.now(UTC), {}, request_id="req-20260101-00000000")
    announcements = Announcements(bot.engine, bot.services.client)

    async with transaction(bot.engine._pool) as connection:
        await connection.execute("ALTER TABLE approval_questions RENAME TO away")
    with pytest.raises(Unavailable):
        await announcements.write(event, [asking])
    async with transaction(bot.engine._pool) as connection:
        await connection.execute("ALTER TABLE away RENAME TO approval_questions")
    await announcements.write(event, [asking])

    assert len(bot.twin.messages("@alice")) == 1


async def test_approvers_of_a_request_without_a_place_are_asked_directly(bot: RunningBot) -> None:
    """The command line's request has no thread: the operator of a machine is nobody in Slack."""
    for person in (ALICE, CAROL):
        await bot.services.identity.actor(person)
    operator = await bot.engine.actor("cli:root", source="cli")
    view = await bot.engine.submit(operator, Submission(parameters={}, item="flaky-queue"))
    rules = [{"user": ALICE}, {"team": "platform"}, {"user": "cli:somebody"}]
    asked = {"step": None, "needed": 1, "approvers": rules, "message": None, "expires_at": None}
    await happens(bot, "approval.requested", asked, view.request_id)

    for person in ("@alice", "@carol"):
        letter = await bot.card(person, "asks for your approval")
        assert view.request_id in text_of(letter)
        assert "Approve" in text_of(letter)
    assert bot.twin.messages("@bob") == []


async def test_an_event_that_cannot_be_told_is_put_aside_and_the_rest_goes_on(
    bot: RunningBot,
) -> None:
    await happens(bot, "operations.eligible", {"owner_user_id": BOB, "operations": ["nonsense"]})
    await happens(bot, "operations.eligible", {"owner_user_id": BOB, "operations": [operation(2)]})

    assert await bot.card("@bob", "1 service of yours")


async def test_a_run_that_takes_long_says_so(bot: RunningBot) -> None:
    request_id = await failed_request(bot)
    card = await bot.card(holding="has failed")
    await happens(bot, "request.overrunning", {"estimated_duration": "5m"}, request_id)

    await bot.twin.until(lambda: "takes longer than the 5m" in bot.thread(card))
