"""Approvals in the thread: asked of those named, decided at the click, told to everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.messages import notices
from bot.playground.workspace import Message
from engine import Submission
from engine.events import NewEvent
from engine.store import events, requests
from engine.store.pool import transaction
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

ITEM = """
name: {name}
display_name: {title}
version: 1.0.0
owner: platform
description: Somebody must agree
presentation: {{fields: [{{name: size, type: string, default: small}}]}}
{approval}
fulfillment:
  manual: {{system: webhook, template: {{url: "{url}/tickets", body: {{}}}}}}
  automation:
    steps:
{steps}
"""
CREATE = """
      - name: create
        type: HttpPost
        template: {{url: "{url}/made", body: {{}}}}
"""
ASK = """
      - name: sign
        type: approval
        template:
          approvers: [{{team: platform}}]
          message: Which account pays?
          fields: [{{name: account, type: string, required: true, regexp: "^[0-9]+$"}}]
"""
APPROVAL = "approval: {required: true, approvers: [{team: platform}], expires: 72h}"

WHERE_LARGE = (
    "approval: {required: \"{{ size == 'large' }}\", approvers: [{team: platform}], expires: 72h}"
)


@pytest.fixture
async def bot(
    dsn: str,
    git_repository: Callable[..., GitRepository],
    http_server: HttpServer,
    tmp_path: Path,
) -> AsyncIterator[RunningBot]:
    http_server.answer("POST", "/made", json={"id": "m-1"})
    create, ask = (text.format(url=http_server.url).lstrip("\n") for text in (CREATE, ASK))
    catalog = git_repository(
        {
            "catalog/vault.yaml": ITEM.format(
                name="vault", title="Vault", approval=APPROVAL, steps=create, url=http_server.url
            ),
            "catalog/queue.yaml": ITEM.format(
                name="queue",
                title="Queue",
                approval=WHERE_LARGE,
                steps=create.replace("/made", "/queues"),
                url=http_server.url,
            ),
            "catalog/account.yaml": ITEM.format(
                name="account", title="Account", approval="", steps=ask, url=http_server.url
            ),
        }
    )
    async with running_bot(dsn, catalog.url, tmp_path / "data") as bot:
        for person in ("U0ALICE000", "U0BOB00000", "U0CAROL000"):
            await bot.services.identity.actor(person)
        yield bot


async def asked(bot: RunningBot, item: str = "vault") -> tuple[Message, Message]:
    """Let alice order something; return its card and the message that asks the approvers."""
    alice = await bot.services.identity.actor("U0ALICE000")
    await bot.engine.submit(
        alice, Submission(parameters={}, item=item, instance_name="kv", origin_channel="C0GENERAL0")
    )
    card = await bot.card(holding="Waiting for approval")
    question = await bot.twin.eventually(
        lambda: next(
            (m for m in bot.twin.thread("general", card.ts) if "approval" in text_of(m)), None
        )
    )
    return card, question


async def answer_to_click(bot: RunningBot, person: str, where: Message, button: str) -> Message:
    before = len(bot.twin.ephemerals(person))
    await bot.twin.click(person, where, button)
    (answer,) = await bot.twin.eventually(lambda: bot.twin.ephemerals(person)[before:])
    return answer


async def reminded(bot: RunningBot, card: Message) -> Message:
    """Remind the approvers, and return the message that does."""
    async with transaction(bot.engine._pool) as connection:
        found = await requests.matching_ids(connection, id_of(card))
        await events.write(connection, NewEvent("approval.reminded", found[0], data={"step": None}))
    return await bot.twin.eventually(
        lambda: next(
            (m for m in bot.twin.thread("general", card.ts) if "still waits" in text_of(m)), None
        )
    )


def buttons_of(message: Message) -> list[str]:
    return [
        str(element["text"]["text"])
        for block in message.blocks
        for element in block.get("elements", ())
        if element["type"] == "button"
    ]


async def eventually_none(bot: RunningBot, request_id: str) -> None:
    async def left() -> bool:
        return not await bot.engine.questions(request_id)

    await eventually(left)


def id_of(card: Message) -> str:
    return text_of(card).split("`")[1]


async def test_the_approvers_are_mentioned_in_the_thread(bot: RunningBot) -> None:
    card, question = await asked(bot)

    assert "<!subteam^S0PLATFORM>" in text_of(question)
    assert "is waiting for approval" in text_of(card)
    assert "0 of 1 given, until <!date^" in text_of(card)
    assert "is waiting for approval" in await bot.say("alice", "requests")
    await bot.twin.until(lambda: "once it is approved" in bot.thread(card))


async def test_an_approval_with_a_reason_lets_the_request_go_on(bot: RunningBot) -> None:
    card, question = await asked(bot)

    await bot.twin.click("carol", question, "Approve")
    form = await bot.twin.view("carol", "approve_form")
    await bot.twin.submit("carol", form, {"reason": "within the *budget*"})

    await bot.twin.until(lambda: "is completed" in text_of(card))
    assert "approved by <@U0CAROL000>" in text_of(card)
    assert "approved: within the ∗budget∗." in bot.thread(card)


@pytest.mark.parametrize("person", ["alice", "bob"])
async def test_who_may_not_approve_is_told_at_the_click_whom_to_ask(
    bot: RunningBot, person: str
) -> None:
    card, question = await asked(bot)

    for where, button in ((question, "Approve"), (card, "Reject")):
        answer = await answer_to_click(bot, person, where, button)
        assert "for team *platform*" in text_of(answer)
    assert bot.twin.views(person) == []
    assert "is waiting for approval" in text_of(card)


async def test_a_rejection_needs_its_reason_and_tells_it(bot: RunningBot) -> None:
    card, question = await asked(bot)
    await bot.twin.click("carol", question, "Reject")
    form = await bot.twin.view("carol", "reject_form")

    await bot.twin.submit("carol", form, {})
    assert set(bot.twin.errors_of(form)) == {"reason"}
    await bot.twin.submit("carol", form, {"reason": "use the shared one"})

    await bot.twin.until(lambda: "is cancelled" in text_of(card))
    await bot.twin.until(lambda: buttons_of(question) == [])
    assert "rejected by <@U0CAROL000>" in text_of(question)
    await bot.twin.until(lambda: "rejected this: use the shared one" in bot.thread(card))
    assert "<@U0ALICE000>" in bot.thread(card)


async def test_a_decision_by_command_is_the_same(bot: RunningBot) -> None:
    card, _ = await asked(bot)

    refused = await bot.say("bob", f"approve {id_of(card)}")
    assert "not found, or not yours" in refused
    assert "You approved" in await bot.say("carol", f"approve {id_of(card)} fine by me")

    await bot.twin.until(lambda: "is completed" in text_of(card))
    assert "fine by me" in text_of(card)


async def test_a_rejection_by_command_asks_for_the_reason_it_was_not_given(bot: RunningBot) -> None:
    card, _ = await asked(bot)
    await bot.twin.command("carol", "general", f"/pao reject {id_of(card)}")
    form = await bot.twin.view("carol", "reject_form")
    await bot.twin.close("carol", form)

    assert "You rejected" in await bot.say("carol", f"reject {id_of(card)} too large")
    await bot.twin.until(lambda: "is cancelled" in text_of(card))


async def test_a_step_asks_the_approver_for_its_fields(bot: RunningBot) -> None:
    card, question = await asked(bot, "account")
    assert "Which account pays?" in text_of(question)
    await bot.twin.click("carol", question, "Approve")
    form = await bot.twin.view("carol", "approve_form")

    await bot.twin.submit("carol", form, {"field:account": "mine"})
    assert set(bot.twin.errors_of(form)) == {"field:account"}
    await bot.twin.submit("carol", form, {"field:account": "4711"})

    await bot.twin.until(lambda: "is completed" in text_of(card))
    assert "4711" in text_of(card)


async def test_a_second_click_on_what_was_decided_says_so(bot: RunningBot) -> None:
    card, question = await asked(bot)
    as_once_seen = replace(question)
    await bot.say("carol", f"approve {id_of(card)}")
    await bot.twin.until(lambda: "is completed" in text_of(card))

    answer = await answer_to_click(bot, "carol", as_once_seen, "Approve")
    assert "approv" in text_of(answer)
    assert "boom" not in text_of(answer)


async def test_an_approval_of_the_command_line_says_so_on_the_card(bot: RunningBot) -> None:
    card, _ = await asked(bot)
    by_hand = await bot.engine.actor(
        "U0CAROL000", source="cli", audit_name="cli:root as U0CAROL000"
    )

    await bot.engine.approve(by_hand, id_of(card), reason="by phone")

    await bot.twin.until(lambda: "<@U0CAROL000> on the command line" in text_of(card))


async def test_the_home_of_an_approver_has_the_buttons(bot: RunningBot) -> None:
    card, _ = await asked(bot)
    bot.twin.open_home("carol")
    home = await bot.twin.eventually(lambda: bot.twin.home("carol"))
    assert "asks for your approval" in text_of(home)

    await bot.twin.click("carol", home, "Approve")
    await bot.twin.submit("carol", await bot.twin.view("carol", "approve_form"), {})

    await bot.twin.until(lambda: "is completed" in text_of(card))
    await bot.twin.until(
        lambda: "asks for your approval" not in text_of(bot.twin.home("carol") or home)
    )


async def test_approvers_who_cannot_see_the_thread_are_asked_directly(bot: RunningBot) -> None:
    alice = await bot.services.identity.actor("U0ALICE000")
    await bot.engine.submit(alice, Submission(parameters={}, item="vault", instance_name="kv"))
    card = await bot.card("@alice", "is waiting for approval")

    letter = await bot.card("@carol", "asks for your approval")
    await bot.twin.click("carol", letter, "Approve")
    await bot.twin.submit("carol", await bot.twin.view("carol", "approve_form"), {})

    await bot.twin.until(lambda: "is completed" in text_of(card))
    await bot.twin.until(lambda: buttons_of(letter) == ["Status"])
    assert "approved by <@U0CAROL000>" in text_of(letter)
    assert bot.twin.messages("@bob") == []


async def test_every_message_that_asked_loses_its_buttons_with_the_decision(
    bot: RunningBot,
) -> None:
    card, question = await asked(bot)
    reminder = await reminded(bot, card)
    assert buttons_of(question) == buttons_of(reminder) == ["Approve", "Reject"]

    await bot.say("carol", f"approve {id_of(card)} within budget")

    for message in (question, reminder):
        await bot.twin.until(lambda message=message: buttons_of(message) == [])
        assert "approval" in text_of(message)
        assert "approved by <@U0CAROL000>" in text_of(message)
        assert "within budget" in text_of(message)
    await eventually_none(bot, id_of(card))


async def test_a_question_that_somebody_deleted_does_no_harm(bot: RunningBot) -> None:
    card, question = await asked(bot)
    await bot.services.client.chat_delete(channel="C0GENERAL0", ts=question.ts)

    await bot.say("carol", f"approve {id_of(card)}")

    await bot.twin.until(lambda: "is completed" in text_of(card))
    await eventually_none(bot, id_of(card))


async def test_a_request_that_is_taken_back_asks_nobody_any_more(bot: RunningBot) -> None:
    card, question = await asked(bot)

    await bot.say("alice", f"cancel {id_of(card)}")

    await bot.twin.until(lambda: buttons_of(question) == [])
    assert "not needed any more" in text_of(question)


async def test_changed_parameters_ask_again_and_go_on_when_approved(
    bot: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/queues", status=400, json={"error": "too small"}, times=1)
    http_server.answer("POST", "/queues", json={"id": "q-1"})
    alice = await bot.services.identity.actor("U0ALICE000")
    view = await bot.engine.submit(
        alice, Submission(parameters={}, item="queue", origin_channel="C0GENERAL0")
    )
    card = await bot.card(holding="has failed")

    waits = await bot.engine.resume(alice, view.request_id, {"size": "large"})
    assert "goes on once it is approved by team *platform*" in notices.goes_on(waits)
    await bot.twin.until(lambda: "0 of 1 given" in text_of(card))
    await bot.twin.until(lambda: "<!subteam^S0PLATFORM>" in bot.thread(card))
    assert "has failed" in text_of(card)

    await bot.twin.click("carol", card, "Approve")
    await bot.twin.submit("carol", await bot.twin.view("carol", "approve_form"), {})
    await bot.twin.until(lambda: "is completed" in text_of(card))
    assert "large" in text_of(card)
