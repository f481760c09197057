"""A local mail server: STARTTLS, a login, and refusals to order.

smtp.refuse["RCPT"] = "550 no such user"      # once asked, always refused
smtp.hang_up_after = "DATA"                    # takes the message and says nothing
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "pao", "s3cret"


@dataclass
class Delivered:
    """A message that was taken, with its envelope."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    user: str | None


@dataclass
class SmtpServer:
    port: int
    tls: ssl.SSLContext | None
    delivered: list[Delivered] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    hang_up_after: str | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Conversation(self, reader, writer).hold()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


class _Conversation:
    def __init__(
        self, server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._encrypted, self._user = False, None
        self._sender, self._recipients = "", []

    async def hold(self) -> None:
        await self._say("220 mail.example ESMTP")
        while line := (await self._reader.readline()).decode().strip():
            verb = line.split()[0].upper()
            if verb in self._server.refuse:
                await self._say(self._server.refuse[verb])
            elif verb == "QUIT":
                await self._say("221 bye")
                return
            else:
                await self._do(verb, line)
            if verb == self._server.hang_up_after:
                return

    async def _do(self, verb: str, line: str) -> None:
        match verb:
            case "EHLO" | "HELO":
                offers = ["mail.example", "SIZE 1000000", "AUTH PLAIN", "8BITMIME"]
                if self._server.tls and not self._encrypted:
                    offers.insert(1, "STARTTLS")
                await self._say(*(f"250-{one}" for one in offers[:-1]), f"250 {offers[-1]}")
            case "STARTTLS" if self._server.tls:
                await self._say("220 go ahead")
                await self._writer.start_tls(self._server.tls)
                self._encrypted = True
            case "AUTH":
                name, password = base64.b64decode(line.split()[2]).decode().split("\0")[1:]
                self._user = name
                is_known = (name, password) == (USER, PASSWORD)
                await self._say("235 welcome" if is_known else "535 bad credentials")
            case "MAIL":
                self._sender = line.partition("<")[2].partition(">")[0]
                await self._say("250 ok")
            case "RCPT":
                self._recipients.append(line.partition("<")[2].partition(">")[0])
                await self._say("250 ok")
            case "DATA":
                await self._take()
            case _:
                await self._say("502 what?")

    async def _take(self) -> None:
        await self._say("354 go on")
        content = await self._reader.readuntil(b"\r\n.\r\n")
        parsed = message_from_bytes(content[:-5], policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self._server.delivered.append(
            Delivered(self._sender, self._recipients, parsed, self._encrypted, self._user)
        )
        if self._server.hang_up_after != "DATA":
            await self._say("250 queued")

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()


def certificate(folder: Path) -> Path:
    """Write a key and a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def running_smtp(certified: Path | None) -> AsyncIterator[SmtpServer]:
    """Run a mail server in this loop for the block's time; without a certificate: no STARTTLS."""
    tls = None
    if certified is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certified)
    state = SmtpServer(0, tls)
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
