"""Tickets by mail, against a real SMTP server."""

import ssl

import pytest

from engine.config import TicketSystemSettings
from engine.errors import StepFailed
from engine.outbound import Outbound
from engine.tickets.base import Ticket, TicketDraft
from engine.tickets.email import EmailTickets
from tests.support.smtp_server import PASSWORD, USER, certificate, running_smtp
from tests.support.steps import services


@pytest.fixture
def certified(tmp_path):
    return certificate(tmp_path)


@pytest.fixture
async def smtp(certified):
    async with running_smtp(certified) as server:
        yield server


@pytest.fixture
def system_of(tmp_path, certified):
    def make(port: int, *, trusted: bool = True, **more) -> EmailTickets:
        given = {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_from": "PAO <pao@acme.example>",
        } | more
        settings = TicketSystemSettings(**given)
        tls = ssl.create_default_context(cafile=str(certified)) if trusted else None
        return EmailTickets(services(Outbound(), tmp_path, tickets=settings), tls=tls)

    return make


@pytest.fixture
def system(smtp, system_of) -> EmailTickets:
    return system_of(smtp.port)


def draft(summary: str = "Make a database", **template: object) -> TicketDraft:
    return TicketDraft(
        key="abc123",
        summary=summary,
        description="It failed: kein Platz für Daten",
        template={"to": "ops@acme.example", "subject": "x", **template},
        request_id="req-1",
        ticket_type="fulfillment",
    )


async def failure(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


async def test_a_message_is_sent_and_its_id_is_the_tickets(system, smtp) -> None:
    ticket = await system.create(
        draft(
            to=["ops@acme.example", "DB <db@acme.example>"], cc="boss@acme.example", body="Hello."
        )
    )
    assert ticket == Ticket("<pao-abc123@acme.example>", None, "open")
    (sent,) = smtp.delivered
    assert (sent.encrypted, sent.user, sent.sender) == (True, None, "pao@acme.example")
    assert sent.recipients == ["ops@acme.example", "db@acme.example", "boss@acme.example"]
    assert sent.message["Subject"] == "Make a database"
    assert sent.message["Message-ID"] == ticket.ticket_id
    text = sent.message.get_content()
    assert text.split() == ["Hello.", "It", "failed:", "kein", "Platz", "für", "Daten"]


async def test_a_login_goes_over_the_encrypted_connection(smtp, system_of) -> None:
    await system_of(smtp.port, smtp_user=USER, smtp_password=PASSWORD).create(draft())
    assert (smtp.delivered[0].user, smtp.delivered[0].encrypted) == (USER, True)


async def test_a_server_inside_the_house_may_be_spoken_to_in_clear(system_of) -> None:
    async with running_smtp(None) as smtp:
        await system_of(smtp.port, smtp_tls=False).create(draft())
        assert not smtp.delivered[0].encrypted


async def test_without_encryption_nothing_is_sent_where_it_is_required(system_of) -> None:
    async with running_smtp(None) as smtp:
        error = await failure(system_of(smtp.port).create(draft()))
        assert smtp.delivered == []
    assert (error.kind, "SMTP_TLS" in str(error)) == ("permanent", True)


async def test_a_certificate_that_nobody_trusts_is_refused(smtp, system_of) -> None:
    error = await failure(system_of(smtp.port, trusted=False).create(draft()))
    assert (error.kind, "SMTP_HOST" in str(error)) == ("permanent", True)
    assert smtp.delivered == []


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: all@b.example",
        "a@b.example\nBcc: all@b.example",
        ["a@b.example, b@b.example"],
        ["a@b.example; b@b.example"],
        "nobody",
        "a b@c.example",
        "",
        "<@>",
        "\x00@b.example",
    ],
)
@pytest.mark.parametrize("where", ["to", "cc"])
async def test_what_is_no_address_is_refused(system, smtp, where: str, address) -> None:
    if (where, address) == ("cc", ""):
        address = [""]
    error = await failure(system.create(draft(**{where: address})))
    assert error.kind == "permanent"
    assert where in error.message
    assert smtp.delivered == []


async def test_a_subject_adds_no_header(system, smtp) -> None:
    await system.create(draft("Hello\r\nBcc: all@b.example\n\nbody\u2028x\ud800"))
    (sent,) = smtp.delivered
    assert sent.message["Bcc"] is None
    assert sent.recipients == ["ops@acme.example"]
    assert sent.message["Subject"].startswith("Hello Bcc: all@b.example body x")


async def test_a_text_with_a_lone_dot_arrives_whole(system, smtp) -> None:
    await system.create(draft(body="one\n.\ntwo\nQUIT"))
    assert "two" in smtp.delivered[0].message.get_content()


@pytest.mark.parametrize(
    ("verb", "answer", "kind"),
    [
        ("RCPT", "550 no such user", "permanent"),
        ("RCPT", "451 greylisted", "transient"),
        ("MAIL", "421 too busy", "transient"),
        ("DATA", "554 this is spam", "permanent"),
        ("AUTH", "535 bad credentials", "permanent"),
    ],
)
async def test_refusals_by_their_kind(smtp, system_of, verb, answer, kind: str) -> None:
    smtp.refuse[verb] = answer
    system = system_of(smtp.port, smtp_user=USER, smtp_password=PASSWORD)
    error = await failure(system.create(draft()))
    assert error.kind == kind
    assert PASSWORD not in str(error)


async def test_a_lost_answer_is_unknown_and_the_next_message_is_the_same(system, smtp) -> None:
    smtp.hang_up_after = "DATA"
    assert (await failure(system.create(draft()))).kind == "unknown"
    smtp.hang_up_after = None
    await system.create(draft())
    assert len({sent.message["Message-ID"] for sent in smtp.delivered}) == 1


async def test_a_server_that_is_not_there_is_tried_again(system_of) -> None:
    assert (await failure(system_of(1).create(draft()))).kind == "transient"


@pytest.mark.parametrize("name", ["smtp_host", "smtp_from"])
async def test_a_missing_setting_is_named(system_of, name: str) -> None:
    error = await failure(system_of(25, **{name: None}).create(draft()))
    assert (error.error_type, error.kind) == ("not_configured", "permanent")
    assert name.upper() in error.message


async def test_nothing_can_be_followed_or_commented(system) -> None:
    ticket = await system.create(draft())
    assert await system.follow(ticket) == ticket
    await system.comment(ticket, "Not needed", close=True)
    assert not EmailTickets.can_follow
