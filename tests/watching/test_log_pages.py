"""`/logs/ID`: what an attempt wrote, by a link for one person and for an hour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.http import Endpoints, http_server
from bot.log_page import log_page
from bot.process import running
from engine import Actor, Engine, RequestView
from engine.facade.logs import LONGEST_PAGE
from engine.links import Link, Signer
from engine.people.directory import Profile
from engine.steps.base import Completed, StepContext
from tests.support.encryption import KEY
from tests.support.engines import ALICE, MALLORY
from tests.support.workbench import Workbench, step

HOSTILE = '<script>alert(1)</script> & "quotes" </pre>\n'
OPERATOR = Actor("cli:root", "root", is_admin=True, audit_name="cli:root")


class Pages:
    """A running server and an engine whose links lead to it."""

    def __init__(self, session: aiohttp.ClientSession, engine: Engine) -> None:
        self._session = session
        self.engine = engine

    async def link(self, request: RequestView, actor: Actor = ALICE) -> str:
        (log,) = await self.engine.logs(actor, request.request_id, "write")
        assert log.url is not None
        return log.url

    async def open(self, url: str) -> tuple[int, str, Mapping[str, str]]:
        parts = urlsplit(url)
        async with self._session.get(f"{parts.path}?{parts.query}") as answer:
            return answer.status, await answer.text(), answer.headers


@pytest.fixture
async def pages(bench: Workbench) -> AsyncIterator[Pages]:
    async def ready() -> Mapping[str, str | None]:
        return {}

    for actor in (ALICE, MALLORY):
        profile = Profile(actor.user_id, actor.name, teams=actor.teams)
        await bench.engine.remember_person(profile)
    config = replace(bench.config, public_url="https://pao.example.com/")
    async with Engine(config) as engine:
        server = http_server(ready, Endpoints(logs=log_page(engine)), port=0)
        async with (
            running(server),
            aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session,
        ):
            yield Pages(session, engine)


async def written(bench: Workbench, text: str = HOSTILE) -> RequestView:
    """A request whose one step wrote `text`."""

    async def write(context: StepContext) -> Completed:
        if text:
            await context.log(text)
        return Completed({})

    bench.script["write"] = [write]
    return await bench.run(await bench.request([step("write")]))


def changed(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    given = {name: value for name, (value,) in parse_qs(parts.query).items()} | parameters
    return parts._replace(query=urlencode(given)).geturl()


async def test_a_link_shows_what_the_attempt_wrote(bench: Workbench, pages: Pages) -> None:
    request = await written(bench)
    url = await pages.link(request)
    assert url.startswith("https://pao.example.com/logs/")
    status, page, _ = await pages.open(url)
    assert status == 200
    assert request.request_id in page
    assert "write, attempt 1" in page
    assert "completed" in page


async def test_what_was_written_is_text_and_nothing_else(bench: Workbench, pages: Pages) -> None:
    _, page, headers = await pages.open(await pages.link(await written(bench)))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot; &lt;/pre&gt;" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_bare_address_says_how_to_get_a_link(bench: Workbench, pages: Pages) -> None:
    url = await pages.link(await written(bench))
    status, page, headers = await pages.open(url.partition("?")[0])
    assert status == 403
    assert "pao request logs" in page
    assert "alert" not in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_the_link_of_a_ticket_says_where_its_request_is_and_nothing_of_it(
    bench: Workbench, pages: Pages
) -> None:
    request = await written(bench)
    status, page, headers = await pages.open(f"/requests/{request.request_id}")
    assert status == 200
    assert f"/pao status {request.request_id}" in page
    assert request.title not in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, _, _ = await pages.open("/requests/%3Cscript%3E")
    assert status == 404


async def test_a_link_that_was_changed_opens_nothing(bench: Workbench, pages: Pages) -> None:
    url = await pages.link(await written(bench))
    another = await pages.link(await written(bench))
    for wrong in (
        changed(url, person="U2"),
        changed(url, until="99999999999"),
        changed(url, until="x" * 5000),
        changed(url, signature="x"),
        changed(url, signature="\u00e4\ud800".encode("utf-8", "replace").decode()),
        f"{url.partition('?')[0]}?{another.partition('?')[2]}",
    ):
        assert (await pages.open(wrong))[0] == 403


async def test_a_link_expires(bench: Workbench, pages: Pages) -> None:
    url = await pages.link(await written(bench))
    attempt_id = urlsplit(url).path.removeprefix("/logs/")
    past = Link(attempt_id, ALICE.user_id, int(parse_qs(urlsplit(url).query)["until"][0]) - 3700)
    expired = changed(url, until=str(past.until), signature=Signer([KEY]).sign(past))
    status, page, _ = await pages.open(expired)
    assert status == 403
    assert "expired" in page


async def test_rights_are_asked_again_when_a_link_is_opened(bench: Workbench, pages: Pages) -> None:
    url = await pages.link(await written(bench))
    profile = Profile(ALICE.user_id, ALICE.name, teams=ALICE.teams, is_active=False)
    await bench.engine.remember_person(profile)
    status, page, _ = await pages.open(url)
    assert status == 404
    assert "not found, or not yours" in page
    assert "alert" not in page


async def test_a_stranger_with_a_link_of_their_own_making_sees_nothing(
    bench: Workbench, pages: Pages
) -> None:
    """Even one that our key signed: the rights decide."""
    url = await pages.link(await written(bench))
    attempt_id = urlsplit(url).path.removeprefix("/logs/")
    until = int(parse_qs(urlsplit(url).query)["until"][0])
    signature = Signer([KEY]).sign(Link(attempt_id, MALLORY.user_id, until))
    status, page, _ = await pages.open(changed(url, person=MALLORY.user_id, signature=signature))
    assert status == 404
    assert "alert" not in page


async def test_the_operator_of_the_machine_gets_a_link_too(bench: Workbench, pages: Pages) -> None:
    url = await pages.link(await written(bench), OPERATOR)
    assert (await pages.open(url))[0] == 200


async def test_an_unknown_attempt_is_not_found(bench: Workbench, pages: Pages) -> None:
    url = await pages.link(await written(bench))
    until = int(parse_qs(urlsplit(url).query)["until"][0])
    for unknown in ("00000000-0000-4000-8000-000000000000", "x"):
        link = Link(unknown, ALICE.user_id, until)
        address = changed(url, signature=Signer([KEY]).sign(link))
        path = urlsplit(address)._replace(path=f"/logs/{unknown}").geturl()
        assert (await pages.open(path))[0] == 404


async def test_a_long_log_shows_its_end(bench: Workbench, pages: Pages) -> None:
    request = await written(bench, "")
    await bench.connection.execute(
        "INSERT INTO attempt_logs (attempt_id, chunk, text)"
        " SELECT a.id, n, repeat(chr(96 + n), 400000) FROM step_attempts a, generate_series(1, 4) n"
    )
    _, page, _ = await pages.open(await pages.link(request))
    assert "aaaa" not in page
    assert "bbbb" in page
    assert "dddd" in page
    assert "The first 400000 characters are left out" in page
    assert LONGEST_PAGE < len(page) < 2 * LONGEST_PAGE


async def test_an_attempt_that_wrote_nothing_says_so(bench: Workbench, pages: Pages) -> None:
    request = await written(bench, "x")
    url = await pages.link(request)
    await bench.connection.execute("DELETE FROM attempt_logs")
    assert "Nothing was written" in (await pages.open(url))[1]


async def test_without_a_public_address_there_is_no_link(bench: Workbench) -> None:
    request = await written(bench)
    (log,) = await bench.engine.logs(ALICE, request.request_id, "write")
    assert (log.text, log.url) == (HOSTILE, None)


LINKS = st.builds(Link, st.text(), st.text(), st.integers(0, 10**12))


@given(LINKS, LINKS)
def test_a_signature_is_for_one_link_alone(link: Link, other: Link) -> None:
    signer = Signer([KEY])
    assert signer.knows(link, signer.sign(link))
    assert signer.knows(other, signer.sign(link)) is (link == other)


def test_links_outlive_a_rotation_of_keys() -> None:
    link = Link("a", "U1", 1)
    assert Signer(["new", "old"]).knows(link, Signer(["old"]).sign(link))
    assert not Signer(["new"]).knows(link, Signer(["old"]).sign(link))
