"""Tickets as messages: sent by SMTP, done when somebody says so.

Mail can neither be searched nor followed. The ticket's id is the Message-ID, made from the key: a
message that is sent again after a lost answer is the same message to those who read it.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, Field

from engine.config import TicketSystemSettings
from engine.errors import Kind, StepFailed
from engine.foreign_json import clean_text
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText, read_template
from engine.tickets.base import Ticket, TicketDraft

THREADS: Final = 2

TIMEOUT: Final = 30.0
"""Seconds for a connection and for each answer of the server."""

SEND_SECONDS: Final = 90.0
"""Seconds for a message, the wait for a thread included."""

LONGEST_SUBJECT: Final = 255


def _many(value: Any) -> Any:
    if isinstance(value, str):
        # A template may render a list of addresses into one text.
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Addresses = Annotated[tuple[RenderedText, ...], BeforeValidator(_many)]
"""Addresses, one, a list, or one text with commas."""


class EmailTemplate(RenderedTemplate):
    """Who gets the message, and what it says."""

    to: Annotated[Addresses, Field(min_length=1)]
    subject: RenderedText
    cc: Addresses | None = None
    body: RenderedText | None = None


class EmailTickets:
    """The ticket system `email`."""

    name: ClassVar[str] = "email"
    template_model: ClassVar[type[BaseModel]] = EmailTemplate
    can_follow: ClassVar[bool] = False

    def __init__(self, services: StepServices, *, tls: ssl.SSLContext | None = None) -> None:
        """Take the settings; `tls` replaces the system's own certificates."""
        self._settings = services.tickets
        self._tls = tls
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="smtp")

    async def create(self, draft: TicketDraft) -> Ticket:
        """Send the message of the draft's key."""
        template = read_template(EmailTemplate, draft.template)
        message = _message(_sender(self._settings), template, draft)
        await draft.memory.check_lease()
        await self._send(message)
        return Ticket(str(message["Message-ID"]), None, "open")

    async def follow(self, ticket: Ticket) -> Ticket:
        """Return the ticket: nothing outside tells of it."""
        return ticket

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        """Nothing: a message that was sent stays as it is."""

    async def _send(self, message: EmailMessage) -> None:
        loop = asyncio.get_running_loop()
        delivery = _Delivery(self._settings, self._tls)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await loop.run_in_executor(self._threads, delivery.send, message)
        except TimeoutError as error:
            raise delivery.lost(f"no answer within {SEND_SECONDS:g} s") from error
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _refused(code, said, f"{', '.join(error.recipients)} is refused") from error
        except smtplib.SMTPAuthenticationError as error:
            raise _unusable(
                f"the mail server refuses the login: {error.smtp_code}",
                "Check SMTP_USER and SMTP_PASSWORD",
            ) from error
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code, error.smtp_error, "the message is refused") from error
        except smtplib.SMTPNotSupportedError as error:
            raise _unusable(
                f"the mail server cannot do what is asked: {error}", "Check SMTP_TLS and SMTP_USER"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise _unusable(
                f"the mail server's certificate is not good for SMTP_HOST: {error.verify_message}",
                "Correct SMTP_HOST or the certificate",
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise delivery.lost(str(error) or type(error).__name__) from error


class _Delivery:
    """One conversation with the server; `is_sent` once the message may have been taken."""

    def __init__(self, settings: TicketSystemSettings, tls: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._tls = tls
        self._is_sent = False

    def send(self, message: EmailMessage) -> None:
        """Blocks. Raises SMTPException and OSError."""
        settings = self._settings
        host = str(settings.smtp_host)
        with smtplib.SMTP(host, settings.smtp_port, timeout=TIMEOUT) as server:
            if settings.smtp_tls:
                server.starttls(context=self._tls or ssl.create_default_context())
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password or "")
            self._is_sent = True
            server.send_message(message)

    def lost(self, why: str) -> StepFailed:
        """Return the error of a conversation that broke."""
        kind: Kind = "unknown" if self._is_sent else "transient"
        return StepFailed("mail_failed", f"The message was not sent: {clean_text(why)}", kind=kind)


def _sender(settings: TicketSystemSettings) -> str:
    missing = [
        name
        for name, value in (("SMTP_HOST", settings.smtp_host), ("SMTP_FROM", settings.smtp_from))
        if not value
    ]
    if missing:
        raise StepFailed(
            "not_configured",
            f"No mail can be sent, these settings are missing: {', '.join(missing)}",
            kind="permanent",
            do="Set them and restart",
        )
    return str(settings.smtp_from)


def _message(sender: str, template: EmailTemplate, draft: TicketDraft) -> EmailMessage:
    """Return the message. What a person typed can add no header and no recipient."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender, "SMTP_FROM")
    message["To"] = [_address(one, "to") for one in template.to]
    if template.cc:
        message["Cc"] = [_address(one, "cc") for one in template.cc]
    message["Subject"] = clean_text(" ".join(draft.summary.split()))[:LONGEST_SUBJECT]
    message["Date"] = formatdate()
    domain = parseaddr(sender)[1].rpartition("@")[2] or "pao.invalid"
    message["Message-ID"] = f"<pao-{draft.key}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    parts = [part for part in (template.body, draft.description) if part]
    message.set_content(clean_text("\n\n".join(dict.fromkeys(parts))))
    return message


def _address(text: str, where: str) -> Address:
    """Return one mail address; StepFailed for anything else."""
    name, spec = parseaddr(text)
    is_plain = text.isprintable() and "," not in text and ";" not in text
    if not is_plain or "@" not in spec or " " in spec:
        raise _bad_address(where)
    try:
        return Address(display_name=name, addr_spec=spec)
    except (MessageError, ValueError, IndexError) as error:
        raise _bad_address(where) from error


def _bad_address(where: str) -> StepFailed:
    return StepFailed(
        "invalid_address",
        f"The message cannot be sent: {where!r} holds something else than a mail address",
        kind="permanent",
        do=f"Correct {where!r}",
    )


def _refused(code: int, said: bytes | str, what: str) -> StepFailed:
    """Return a refusal: RFC 5321, 4.2.1: 4yz may be better later, 5yz will not."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    kind: Kind = "transient" if 400 <= code < 500 else "permanent"
    return StepFailed(
        f"smtp_{code}",
        f"The message was not sent, {what}: {code} {clean_text(text)}",
        kind=kind,
    )


def _unusable(why: str, do: str) -> StepFailed:
    return StepFailed("mail_unusable", f"The message was not sent: {why}", kind="permanent", do=do)
