"""The five HTTP step types against a real server."""

import asyncio
import base64

import pytest

from engine.errors import OutboundRefused, StepFailed
from engine.outbound import LARGEST_ANSWER, Outbound
from engine.steps.base import Completed, Waiting
from engine.steps.http import HttpDelete, HttpGet, HttpPatch, HttpPost, HttpPut
from engine.steps.registry import StepServices
from tests.support.http_server import HttpServer
from tests.support.raw_server import answer, raw_server
from tests.support.steps import Context, LeaseGone, services


@pytest.fixture
def post(step_services: StepServices) -> HttpPost:
    return HttpPost(step_services)


async def failure(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("kind", [HttpGet, HttpPost, HttpPut, HttpPatch, HttpDelete])
async def test_each_calls_with_its_method(kind, step_services, http_server: HttpServer) -> None:
    http_server.answer(kind.method, "/x", json={"id": 7})
    outcome = await kind(step_services).start(Context({"url": http_server.url + "/x"}))
    assert isinstance(outcome, Completed)
    assert outcome.outputs == {"id": 7}
    (received,) = http_server.requests(kind.method, "/x")
    assert received.headers.get("idempotency-key") == (None if kind is HttpGet else "key-1")


async def test_a_structure_is_sent_as_json_and_a_text_as_it_is(post, http_server) -> None:
    http_server.answer("POST", "/x", json={})
    for body in ({"size": 2, "tags": ["a"]}, '{"size": 2}', "plain\ud800", None):
        await post.start(Context({"url": http_server.url + "/x", "body": body}))
    structure, json_text, text, nothing = http_server.requests("POST", "/x")
    assert structure.json() == {"size": 2, "tags": ["a"]}
    assert structure.headers["content-type"] == "application/json"
    assert (json_text.body, json_text.headers["content-type"]) == (
        b'{"size": 2}',
        "application/json",
    )
    assert (text.body, text.headers["content-type"]) == (b"plain?", "text/plain; charset=utf-8")
    assert (nothing.body, nothing.headers["content-length"]) == (b"", "0")


@pytest.mark.parametrize(
    ("authentication", "header", "value"),
    [
        ({"type": "bearer", "token": "t0ken"}, "authorization", "Bearer t0ken"),
        (
            {"type": "basic", "username": "u", "password": "pä:ss"},
            "authorization",
            "Basic " + base64.b64encode("u:pä:ss".encode()).decode(),
        ),
        ({"type": "api_key", "header": "X-Api-Key", "value": 12345}, "x-api-key", "12345"),
    ],
)
async def test_authentication(post, http_server, authentication, header, value) -> None:
    http_server.answer("POST", "/x", json={})
    template = {"url": http_server.url + "/x", "authentication": authentication}
    await post.start(Context(template))
    assert http_server.requests("POST", "/x")[0].headers[header] == value


async def test_headers_of_the_document_win_over_ours(post, http_server) -> None:
    http_server.answer("POST", "/x", json={})
    headers = {"Idempotency-Key": "mine", "Content-Type": "application/vnd.x+json", "X-N": 3}
    await post.start(Context({"url": http_server.url + "/x", "headers": headers, "body": {}}))
    sent = http_server.requests("POST", "/x")[0].headers
    assert (sent["idempotency-key"], sent["content-type"], sent["x-n"]) == (
        "mine",
        "application/vnd.x+json",
        "3",
    )


async def test_declared_outputs_are_found_by_path(post, http_server) -> None:
    http_server.answer("POST", "/x", json={"data": [{"id": "a"}, {"id": "b"}], "n": 1.5})
    config = {
        "outputs": {
            "first": "$.data[0].id",
            "by_filter": "$.data[?@.id == 'b'].id",
            "none": {"path": "$.nothing", "default": "fallback"},
            "null": {"path": "$.nothing", "default": None},
        }
    }
    outcome = await post.start(Context({"url": http_server.url + "/x"}, config=config))
    assert outcome.outputs == {"first": "a", "by_filter": "b", "none": "fallback", "null": None}


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ({"id": "$.missing"}, "id"),
        (["missing"], "missing"),
        ({"bad": "data.id"}, "bad"),
        ({"slow": "$[?search(@.a, '(x+x+)+y')]"}, "slow"),
    ],
)
async def test_an_output_that_is_not_there_is_a_permanent_failure_that_names_it(
    post, http_server, outputs, name
) -> None:
    http_server.answer("POST", "/x", json={"data": 1})
    context = Context({"url": http_server.url + "/x"}, config={"outputs": outputs})
    error = await failure(post.start(context))
    assert (error.error_type, error.kind) == ("output_missing", "permanent")
    assert repr(name) in error.message


@pytest.mark.parametrize("body", [b"plain", b"\xff\x00\xfe", b"[1, 2]", b'"text"', b"7", b""])
async def test_a_body_that_is_no_object_gives_no_outputs(post, http_server, body) -> None:
    http_server.answer("POST", "/x", body=body)
    outcome = await post.start(Context({"url": http_server.url + "/x"}))
    assert outcome.outputs == {}
    assert outcome.evidence["status"] == 200


async def test_what_json_can_hold_and_postgresql_cannot_is_made_storable(post, http_server) -> None:
    body = (
        b'{"nul": "a\\u0000b", "half": "\\ud800", "nan": NaN, "huge": 1e999999, "inf": -Infinity}'
    )
    http_server.answer("POST", "/x", body=body)
    outcome = await post.start(Context({"url": http_server.url + "/x"}))
    assert outcome.outputs == {
        "nul": "a�b",
        "half": "�",
        "nan": "NaN",
        "huge": "1e999999",
        "inf": "-Infinity",
    }


async def test_deep_json_is_no_json_and_never_a_crash(post, http_server) -> None:
    http_server.answer("POST", "/x", body=b"[" * 100_000 + b"]" * 100_000)
    outcome = await post.start(Context({"url": http_server.url + "/x"}))
    assert outcome.outputs == {}


async def test_an_answer_above_the_limit_is_a_permanent_failure(post, http_server) -> None:
    http_server.answer("POST", "/x", body=b"x" * (LARGEST_ANSWER + 1))
    error = await failure(post.start(Context({"url": http_server.url + "/x"})))
    assert (error.error_type, error.kind) == ("answer_too_large", "permanent")


async def test_cookies_are_not_kept_as_evidence(post, http_server) -> None:
    http_server.answer("POST", "/x", json={}, headers={"Set-Cookie": "session=1", "X-Trace": "7"})
    outcome = await post.start(Context({"url": http_server.url + "/x"}))
    assert "set-cookie" not in outcome.evidence["headers"]
    assert outcome.evidence["headers"]["x-trace"] == "7"


async def test_the_steps_own_timeout_bounds_the_call(post, http_server) -> None:
    never = asyncio.Event()
    http_server.answer("POST", "/x", delay=never)
    context = Context({"url": http_server.url + "/x"}, config={"timeout": "100ms"})
    error = await failure(post.start(context))
    never.set()
    assert error.error_type == "timeout"


@pytest.mark.parametrize(("status", "kind"), [(400, "permanent"), (503, "transient")])
async def test_a_status_decides_whether_to_try_again(post, http_server, status, kind) -> None:
    http_server.answer("POST", "/x", status=status, headers={"Retry-After": "9"})
    error = await failure(post.start(Context({"url": http_server.url + "/x"})))
    assert (error.error_type, error.kind, error.retry_after) == (f"http_{status}", kind, 9)


@pytest.mark.parametrize("expected", [409, [200, 409], "{{ expected }}"])
async def test_a_verification_decides_before_the_status_does(post, http_server, expected) -> None:
    http_server.answer("POST", "/x", status=409, json={"id": 1})
    config = {"verification": [{"type": "http_status", "expected_status": expected}]}
    outcome = await post.start(Context({"url": http_server.url + "/x"}, config=config))
    assert outcome.evidence["status"] == 409


async def test_a_status_that_no_verification_expects_is_an_error(post, http_server) -> None:
    http_server.answer("POST", "/x", status=503)
    config = {"verification": {"type": "http_status", "expected_status": [200, 409]}}
    error = await failure(post.start(Context({"url": http_server.url + "/x"}, config=config)))
    assert error.kind == "transient"


async def test_the_guard_stands_before_every_call(tmp_path, http_server) -> None:
    way_out = Outbound()
    with pytest.raises(OutboundRefused):
        await HttpPost(services(way_out, tmp_path)).start(Context({"url": http_server.url + "/x"}))
    await way_out.stop()
    assert http_server.received == []


async def test_nothing_is_sent_when_the_lease_is_lost(post, http_server) -> None:
    with pytest.raises(LeaseGone):
        await post.start(Context({"url": http_server.url + "/x"}, lost_after=0))
    assert http_server.received == []


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"url": 7},
        {"url": "https://x", "methd": "POST"},
        {"url": "https://x", "authentication": {"type": "digest"}},
        {"url": "https://x", "authentication": {"type": "basic", "username": "u"}},
        {"url": "https://x", "async": {"interval": "soon"}},
    ],
)
async def test_a_template_of_another_shape_is_a_permanent_failure(post, template) -> None:
    error = await failure(post.start(Context(template)))
    assert (error.error_type, error.kind) == ("invalid_template", "permanent")


async def test_a_wrong_template_does_not_repeat_its_secrets(post) -> None:
    template = {"url": "https://x", "authentication": {"type": "bearer", "tokn": "hunter22"}}
    error = await failure(post.start(Context(template)))
    assert "hunter22" not in str(error)
    assert "hunter22" not in str(error.details)


class TestLostAnswers:
    """`retry_on_unknown: false`: never a second call that may be one too many."""

    async def test_a_lost_answer_is_permanent(self, post) -> None:
        async with raw_server(answer(b"")) as server:
            context = Context({"url": server.url, "retry_on_unknown": False})
            error = await failure(post.start(context))
            assert (error.error_type, error.kind) == ("outcome_unknown", "permanent")
            again = await failure(post.start(context))
        assert again.error_type == "outcome_unknown"
        assert len(server.requests) == 1

    async def test_a_worker_lost_during_the_call_leaves_it_unknown(self, post, http_server) -> None:
        context = Context(
            {"url": http_server.url + "/x", "retry_on_unknown": False}, external={"sent": "key-1"}
        )
        error = await failure(post.start(context))
        assert "Outcome unknown" in error.message
        assert http_server.received == []

    async def test_a_definite_refusal_may_be_tried_again(self, post, http_server) -> None:
        http_server.answer("POST", "/x", status=503, times=1)
        http_server.answer("POST", "/x", json={"id": 1})
        context = Context({"url": http_server.url + "/x", "retry_on_unknown": False})
        assert (await failure(post.start(context))).kind == "transient"
        assert isinstance(await post.start(context), Completed)

    async def test_a_manual_retry_may_call_again(self, post, http_server) -> None:
        http_server.answer("POST", "/x", json={})
        context = Context(
            {"url": http_server.url + "/x", "retry_on_unknown": False},
            external={"sent": "key-0"},
        )
        assert isinstance(await post.start(context), Completed)

    async def test_by_default_a_lost_answer_is_unknown_and_the_key_stays(self, post) -> None:
        async with raw_server(answer(b"")) as server:
            context = Context({"url": server.url})
            assert (await failure(post.start(context))).kind == "unknown"
            assert (await failure(post.start(context))).kind == "unknown"
        assert all(b"idempotency-key: key-1" in request for request in server.requests)


class TestAsynchronousWork:
    """202 and a Location, asked until it is done."""

    async def test_it_is_polled_until_it_is_no_longer_202(self, post, http_server) -> None:
        jobs = {"Location": "/jobs/1", "Retry-After": "30"}
        http_server.answer("POST", "/x", status=202, headers=jobs)
        http_server.answer("GET", "/jobs/1", status=202, times=1)
        http_server.answer("GET", "/jobs/1", json={"endpoint": "db.example"})
        context = Context(
            {
                "url": http_server.url + "/x",
                "async": True,
                "authentication": {"type": "bearer", "token": "t"},
            }
        )
        waiting = await post.start(context)
        assert isinstance(waiting, Waiting)
        assert (waiting.delay, waiting.job_url) == (30, http_server.url + "/jobs/1")
        context.external = dict(waiting.external)
        waiting = await post.poll(context)
        assert isinstance(waiting, Waiting)
        context.external = dict(waiting.external)
        done = await post.poll(context)
        assert isinstance(done, Completed)
        assert done.outputs == {"endpoint": "db.example"}
        assert http_server.requests("GET", "/jobs/1")[0].headers["authorization"] == "Bearer t"

    async def test_intervals_grow_to_a_limit(self, post, http_server) -> None:
        http_server.answer("POST", "/x", status=202, headers={"Location": "/j"})
        http_server.answer("GET", "/j", status=202)
        context = Context({"url": http_server.url + "/x", "async": True})
        outcome = await post.start(context)
        delays = [outcome.delay]
        for _ in range(8):
            context.external = dict(outcome.external)
            outcome = await post.poll(context)
            delays.append(outcome.delay)
        assert delays == sorted(delays)
        assert (delays[0], delays[-1]) == (5, 60)

    async def test_conditions_over_the_body_say_when_it_is_over(self, post, http_server) -> None:
        options = {
            "location": "$.links.self",
            "done": {"json_path": "$.state", "matches": "READY|ACTIVE"},
            "failed": {"json_path": "$.state", "matches": ["ERROR", "GONE"]},
            "interval": "2s",
        }
        http_server.answer("POST", "/x", json={"state": "NEW", "links": {"self": "/j"}})
        http_server.answer("GET", "/j", json={"state": "NEW"}, times=1)
        http_server.answer("GET", "/j", json={"state": "READY"}, times=1)
        http_server.answer("GET", "/j", json={"state": "ERROR"})
        context = Context({"url": http_server.url + "/x", "async": options})
        waiting = await post.start(context)
        context.external = dict(waiting.external)
        waiting = await post.poll(context)
        assert waiting.delay == 2
        context.external = dict(waiting.external)
        assert (await post.poll(context)).outputs == {"state": "READY"}
        error = await failure(post.poll(context))
        assert (error.error_type, error.kind) == ("job_failed", "permanent")

    async def test_a_poll_that_gets_no_answer_is_only_asked_again(self, post, http_server) -> None:
        http_server.answer("GET", "/j", status=503, headers={"Retry-After": "120"}, times=1)
        http_server.answer("GET", "/j", json={"a": 1})
        external = {"location": http_server.url + "/j", "polls": 1, "waited": 5}
        context = Context({"url": http_server.url + "/x", "async": True}, external=external)
        waiting = await post.poll(context)
        assert isinstance(waiting, Waiting)
        assert waiting.delay == 120
        assert isinstance(await post.poll(context), Completed)

    async def test_a_job_that_vanished_is_a_permanent_failure(self, post, http_server) -> None:
        external = {"location": http_server.url + "/gone"}
        context = Context({"url": http_server.url + "/x", "async": True}, external=external)
        assert (await failure(post.poll(context))).error_type == "http_404"

    async def test_it_does_not_wait_for_ever(self, post, http_server) -> None:
        http_server.answer("GET", "/j", status=202)
        external = {"location": http_server.url + "/j", "polls": 9, "waited": 61}
        template = {"url": http_server.url + "/x", "async": {"timeout": "1m"}}
        error = await failure(post.poll(Context(template, external=external)))
        assert error.error_type == "timeout"

    async def test_nobody_to_ask_is_a_permanent_failure(self, post, http_server) -> None:
        http_server.answer("POST", "/x", status=202)
        error = await failure(post.start(Context({"url": http_server.url + "/x", "async": True})))
        assert (error.error_type, error.kind) == ("no_location", "permanent")

    async def test_credentials_are_not_shown_to_another_origin(self, post, http_server) -> None:
        async with raw_server(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as other:
            template = {
                "url": http_server.url + "/x",
                "async": True,
                "headers": {"X-Key": "hunter22"},
            }
            await post.poll(Context(template, external={"location": other.url + "/j"}))
        assert b"hunter22" not in other.requests[0]
