"""Who may talk to the playground's page, and what a browser is told."""

from __future__ import annotations

import io

import aiohttp
import pytest

from tests.support.slack_twin import SlackTwin


@pytest.fixture
async def twin():
    async with SlackTwin(token="printed-token") as twin:
        yield twin


@pytest.fixture
async def session():
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield session


async def test_the_printed_address_lets_a_browser_in_by_a_strict_cookie(twin, session):
    assert twin.playground.url == f"{twin.playground.base_url}?token=printed-token"
    entered = await twin.browse(session, "?token=printed-token", allow_redirects=False)
    assert entered.status == 303
    assert entered.headers["location"] == "/"
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "printed-token" not in cookie
    assert (await twin.browse(session, "")).status == 200
    assert (await twin.browse(session, "web/state")).status == 200


@pytest.mark.parametrize("path", ["", "?token=wrong", "web/state", "web/events", "engine/requests"])
async def test_without_the_token_nothing_is_shown(twin, session, path):
    answer = await twin.browse(session, path)
    assert answer.status == 401
    assert "alice" not in (await answer.text()).lower()


async def test_without_the_token_nothing_is_done(twin, session):
    words = {"user": twin.user("alice"), "channel": "C0GENERAL0", "text": "hello"}
    assert (await twin.browse(session, "web/say", json=words)).status == 401
    assert twin.messages("general") == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1"])
@pytest.mark.parametrize("path", ["?token=printed-token", "api/api.test", "static/app.js"])
async def test_another_host_name_is_refused(twin, session, host, path):
    answer = await twin.browse(session, path, headers={"Host": host}, allow_redirects=False)
    assert answer.status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_another_origin_is_refused(twin, session, origin):
    await twin.browse(session, "?token=printed-token")
    words = {"user": twin.user("alice"), "channel": "C0GENERAL0", "text": "hello"}
    answer = await twin.browse(session, "web/say", json=words, headers={"Origin": origin})
    assert answer.status == 403
    assert twin.messages("general") == []


async def test_another_origin_opens_no_socket(twin, session):
    url = twin.playground.base_url.replace("http:", "ws:") + "link/?ticket="
    url += twin.playground.sockets.issue_ticket()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await session.ws_connect(url, headers={"Origin": "http://evil.example"})
    async with session.ws_connect(url) as link:
        assert (await link.receive_json())["type"] == "hello"


async def test_every_answer_forbids_foreign_content_and_framing(twin, session):
    for path in ("", "static/app.js", "api/api.test"):
        headers = (await twin.browse(session, path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_only_files_of_the_page_are_served(twin, session):
    assert (await twin.browse(session, "static/app.js")).status == 200
    for path in ("static/../server.py", "static/%2e%2e/server.py", "static/none.js"):
        assert (await twin.browse(session, path)).status == 404


async def test_a_request_without_end_is_refused(twin, session):
    await twin.browse(session, "?token=printed-token")

    async def without_end():
        yield b"x"

    for data in (io.BytesIO(b"x" * 3_000_000), without_end()):
        async with session.post(twin.playground.base_url + "web/say", data=data) as answer:
            assert answer.status == 403


async def test_a_malformed_gesture_is_answered_not_broken(twin, session):
    await twin.browse(session, "?token=printed-token")
    for path, body in (
        ("web/say", {"user": "U0ALICE000"}),
        ("web/say", ["list"]),
        ("web/click", {"user": "U0ALICE000", "view": "V404", "action_id": "a", "block_id": "b"}),
        ("web/submit", {"user": "U0ALICE000", "view": "V404"}),
        ("web/faults", {"delay": "never"}),
    ):
        answer = await twin.browse(session, path, json=body)
        assert answer.status == 400
        assert (await answer.json())["error"]


async def test_the_web_api_asks_for_the_apps_token(twin, session):
    for headers, word in (({}, "not_authed"), ({"Authorization": "Bearer x"}, "invalid_auth")):
        answer = await twin.browse(session, "api/users.list", json={}, headers=headers)
        assert (await answer.json())["error"] == word


async def test_an_unknown_method_is_named(twin, session):
    answer = await twin.browse(session, "api/chat.shout", json={})
    assert await answer.json() == {
        "ok": False,
        "error": "unknown_method",
        "req_method": "chat.shout",
    }
