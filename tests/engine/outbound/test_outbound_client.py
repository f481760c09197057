"""What one exchange does, with servers that behave and servers that do not."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Sequence

import pytest

from engine.errors import OutboundRefused, StepFailed
from engine.outbound import LARGEST_ANSWER, Outbound, Response, failure_of, retry_after
from tests.support.raw_server import answer, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
async def outbound():
    way_out = Outbound(LOOPBACK)
    yield way_out
    await way_out.stop()


async def failed(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


async def test_an_answer_is_given_whatever_its_status(outbound) -> None:
    text = b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'
    async with raw_server(answer(text)) as server:
        response = await outbound.request("POST", server.url + "/x?y=1", json={"b": 1})
    assert (response.status, response.json(), response.headers["x-a"]) == (404, {"a": 1}, "1, 2")
    assert server.requests[0].startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert b"content-type: application/json" in server.requests[0].lower()
    assert b"accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433:{port}/",
        "http://127.1:{port}/",
        "http://0x7f.1:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://127.0.0.1:{port}/",
    ],
)
async def test_every_spelling_of_loopback_is_refused(url: str) -> None:
    way_out = Outbound()
    async with raw_server(answer(OK)) as server:
        with pytest.raises(OutboundRefused) as caught:
            await way_out.request("GET", url.format(port=server.port))
    await way_out.stop()
    assert caught.value.code == "outbound_refused"
    assert caught.value.kind == "permanent"
    assert server.requests == []


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "https://[fd00:ec2::254]/x"])
async def test_private_addresses_are_refused_over_https_too(url: str) -> None:
    way_out = Outbound()
    with pytest.raises(OutboundRefused, match="not a public"):
        await way_out.request("GET", url)
    await way_out.stop()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "gopher://x/"])
async def test_other_schemes_are_refused(outbound, url: str) -> None:
    with pytest.raises((OutboundRefused, StepFailed)) as caught:
        await outbound.request("GET", url)
    assert caught.value.kind == "permanent"


@pytest.mark.parametrize("url", ["http://u:p@127.0.0.1/", "http://127.0.0.1\\@example.com/"])
async def test_names_and_passwords_in_the_url_are_refused_and_not_repeated(outbound, url) -> None:
    with pytest.raises(OutboundRefused) as caught:
        await outbound.request("GET", url)
    assert "u:p" not in str(caught.value)


async def test_plain_http_needs_the_operators_word() -> None:
    async def public(_: str, __: int) -> Sequence[str]:
        return ["1.1.1.1"]

    way_out = Outbound(LOOPBACK, resolve=public)
    with pytest.raises(OutboundRefused, match="plain http"):
        await way_out.request("GET", "http://example.com/")
    await way_out.stop()


async def test_one_inside_address_among_public_ones_is_enough_to_refuse() -> None:
    async def mixed(_: str, __: int) -> Sequence[str]:
        return ["1.1.1.1", "169.254.169.254"]

    way_out = Outbound(resolve=mixed)
    with pytest.raises(OutboundRefused, match=r"169\.254\.169\.254"):
        await way_out.request("GET", "https://example.com/")
    await way_out.stop()


async def test_a_name_that_resolves_elsewhere_the_second_time_gains_nothing() -> None:
    asked = 0

    async def rebinding(_: str, __: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"] if asked == 1 else ["127.6.6.6"]

    way_out = Outbound(["127.0.0.1"], resolve=rebinding)
    async with raw_server(answer(OK)) as server:
        url = f"http://service.example:{server.port}/"
        assert (await way_out.request("GET", url)).status == 200
        with pytest.raises(OutboundRefused):
            await way_out.request("GET", url)
    await way_out.stop()
    assert asked == 2
    assert f"host: service.example:{server.port}".encode() in server.requests[0].lower()


async def test_an_allowed_host_may_have_any_address() -> None:
    way_out = Outbound(["localhost"])
    async with raw_server(answer(OK)) as server:
        assert (await way_out.request("GET", f"http://localhost:{server.port}/")).status == 200
    await way_out.stop()


async def test_addresses_of_the_operator_are_outside_the_guard() -> None:
    way_out = Outbound()
    async with raw_server(answer(OK)) as server:
        assert (await way_out.request("GET", server.url, guarded=False)).status == 200
        with pytest.raises(OutboundRefused):
            await way_out.request("GET", server.url)
    await way_out.stop()


async def test_proxies_of_the_environment_are_ignored(outbound, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with raw_server(answer(OK)) as server:
        assert (await outbound.request("GET", server.url)).status == 200


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request(outbound) -> None:
    text = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(answer(text)) as server:
        await outbound.request("GET", server.url)
        await outbound.request("GET", server.url)
    assert b"cookie" not in server.requests[1].lower()


def redirect(target: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_get_follows_a_redirect_and_keeps_its_headers_on_the_same_origin(outbound) -> None:
    async def script(_, writer) -> None:
        writer.write(redirect("/second") if len(server.requests) == 1 else OK)

    async with raw_server(script) as server:
        response = await outbound.request("GET", server.url, headers={"Authorization": "Bearer t"})
    assert response.url == server.url + "/second"
    assert b"authorization: Bearer t" in server.requests[1]


async def test_credentials_do_not_follow_to_another_origin(outbound) -> None:
    async with (
        raw_server(answer(OK)) as second,
        raw_server(answer(redirect(second.url + "/x"))) as first,
    ):
        headers = {"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "text/plain"}
        await outbound.request("GET", first.url, headers=headers)
    (request,) = second.requests
    assert b"Bearer" not in request
    assert b"api-key" not in request.lower()
    assert b"text/plain" in request


async def test_a_redirect_to_the_inside_is_refused() -> None:
    way_out = Outbound(["127.0.0.1"])
    async with raw_server(answer(redirect("http://169.254.169.254/latest/meta-data"))) as server:
        with pytest.raises(OutboundRefused):
            await way_out.request("GET", server.url)
    await way_out.stop()


async def test_endless_redirects_end(outbound) -> None:
    async with raw_server(answer(redirect("/again"))) as server:
        error = await failed(outbound.request("GET", server.url))
    assert (error.error_type, error.kind) == ("too_many_redirects", "permanent")
    assert len(server.requests) == 4


async def test_a_post_is_not_redirected(outbound) -> None:
    async with raw_server(answer(redirect("/elsewhere", 307))) as server:
        response = await outbound.request("POST", server.url, json={})
    assert response.status == 307
    error = failure_of(response)
    assert error is not None
    assert error.kind == "permanent"


async def test_a_server_that_drips_is_cut_off_after_the_total_time(outbound) -> None:
    async def drip(_, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(drip) as server:
        error = await failed(outbound.request("GET", server.url, timeout=1))
        assert (error.error_type, error.kind) == ("timeout", "transient")
        error = await failed(outbound.request("POST", server.url, json={}, timeout=1))
        assert (error.error_type, error.kind) == ("timeout", "unknown")


@pytest.mark.parametrize("declared", [True, False])
async def test_an_answer_that_is_too_large_is_a_permanent_failure(outbound, declared) -> None:
    async def flood(_, writer) -> None:
        length = b"Content-Length: 999999999999\r\n" if declared else b""
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        for _ in range(100):
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw_server(flood) as server:
        error = await failed(outbound.request("GET", server.url))
    assert (error.error_type, error.kind) == ("answer_too_large", "permanent")


async def test_the_largest_answer_is_read(outbound) -> None:
    text = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * LARGEST_ANSWER
    async with raw_server(answer(text)) as server:
        assert len((await outbound.request("GET", server.url)).body) == LARGEST_ANSWER


async def test_a_compressed_answer_is_not_unpacked(outbound) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with raw_server(answer(head.encode() + bomb)) as server:
        error = await failed(outbound.request("GET", server.url))
    assert (error.error_type, error.kind) == ("answer_encoded", "permanent")


async def test_a_lost_answer_is_unknown_for_a_post_and_transient_for_a_get(outbound) -> None:
    async with raw_server(answer(b"")) as server:
        error = await failed(outbound.request("POST", server.url, json={}))
        assert (error.error_type, error.kind) == ("connection_lost", "unknown")
        error = await failed(outbound.request("GET", server.url))
        assert error.kind == "transient"


async def test_a_reset_and_a_short_body_are_lost_answers(outbound) -> None:
    async def reset(_, writer) -> None:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    short = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"
    for script in (reset, answer(short), answer(b"HELLO\r\n\r\n")):
        async with raw_server(script) as server:
            error = await failed(outbound.request("POST", server.url, json={}))
        assert (error.error_type, error.kind) == ("connection_lost", "unknown")


async def test_a_refused_connection_is_transient_even_for_a_post(outbound) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = await failed(outbound.request("POST", url, json={}))
    assert (error.error_type, error.kind) == ("connect_failed", "transient")


async def test_a_name_without_an_address_is_transient() -> None:
    async def unknown(_: str, __: int) -> Sequence[str]:
        raise OSError("no such name")

    way_out = Outbound(resolve=unknown)
    error = await failed(way_out.request("GET", "https://nowhere.example/"))
    await way_out.stop()
    assert (error.error_type, error.kind) == ("connect_failed", "transient")


@pytest.mark.parametrize(
    "headers", [{"X-A": "a\r\nX-B: b"}, {"X A": "1"}, {"X-É": "1"}, {"X-A": "\ud800"}]
)
async def test_a_header_that_would_break_the_request_is_a_permanent_failure(outbound, headers):
    async with raw_server(answer(OK)) as server:
        error = await failed(outbound.request("POST", server.url, headers=headers, json={}))
    assert (error.error_type, error.kind) == ("invalid_request", "permanent")
    assert server.requests == []


@pytest.mark.parametrize("url", ["", "https://", "no url", "https://[::1", "https://a:b/"])
async def test_what_is_no_url_is_a_permanent_failure(outbound, url: str) -> None:
    with pytest.raises((StepFailed, OutboundRefused)) as caught:
        await outbound.request("GET", url)
    assert caught.value.kind == "permanent"


async def test_stopping_twice_and_going_on_is_fine(outbound) -> None:
    await outbound.stop()
    await outbound.stop()
    async with raw_server(answer(OK)) as server:
        assert (await outbound.request("GET", server.url)).status == 200


def response(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, b"why", "https://api.example/x?token=secret")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_overload_and_server_errors_are_transient(status: int) -> None:
    error = failure_of(response(status))
    assert error is not None
    assert (error.kind, error.error_type) == ("transient", f"http_{status}")


@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 403, 404, 409, 410, 422, 451])
def test_other_statuses_are_permanent(status: int) -> None:
    error = failure_of(response(status))
    assert error is not None
    assert error.kind == "permanent"
    assert "token" not in error.message


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_no_failure(status: int) -> None:
    assert failure_of(response(status)) is None


def test_retry_after_is_seconds_or_a_date_counted_from_the_answers_own() -> None:
    assert retry_after(response(503, retry_after="7")) == 7
    assert retry_after(response(503)) is None
    assert retry_after(response(503, retry_after="soon")) is None
    dated = response(
        503,
        date="Tue, 24 Nov 2026 10:00:00 GMT",
        retry_after="Tue, 24 Nov 2026 10:01:30 GMT",
    )
    assert retry_after(dated) == 90
    past = response(
        503,
        date="Tue, 24 Nov 2026 10:00:00 GMT",
        retry_after="Tue, 24 Nov 2026 09:00:00 GMT",
    )
    assert retry_after(past) == 0


def test_a_json_body_is_read_safely() -> None:
    body = json.dumps({"a": "x\0y", "b": "\ud800"}).encode()
    assert Response(200, {}, body, "https://x").json() == {"a": "x�y", "b": "�"}
