"""Certificates are those of the name, though the connection goes to a judged address."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.errors import StepFailed
from engine.outbound import Outbound

NAME = "service.example"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a self-signed certificate for NAME."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
async def port(certificate: Path):
    """The port of a server with that certificate."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def here(_: str, __: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize(("name", "is_theirs"), [(NAME, True), ("other.example", False)])
async def test_the_certificate_must_be_the_names(certificate, port, name, is_theirs) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    way_out = Outbound(["127.0.0.1"], resolve=here, tls=trusting)
    try:
        if is_theirs:
            assert (await way_out.request("GET", f"https://{name}:{port}/")).status == 200
        else:
            with pytest.raises(StepFailed, match="certificate") as caught:
                await way_out.request("GET", f"https://{name}:{port}/")
            assert caught.value.error_type == "connect_failed"
    finally:
        await way_out.stop()


async def test_a_certificate_of_nobody_is_refused(port) -> None:
    way_out = Outbound(["127.0.0.1"], resolve=here)
    with pytest.raises(StepFailed, match="certificate"):
        await way_out.request("POST", f"https://{NAME}:{port}/", json={})
    await way_out.stop()
