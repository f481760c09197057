"""Traces: an ended request reaches the collector, once, with a span for each step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.process import running
from bot.settings import load
from bot.tracing import Traces
from engine import Engine, Submission
from engine.store.pool import Connection
from engine.tracing import trace_of
from tests.support.engines import ALICE, add_item, automation, config
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer
from tests.support.hurrying import hurried
from tests.support.services import keeps_the_service_protocol
from tests.support.workbench import Workbench, fail, step


@asynccontextmanager
async def tracing(bench: Workbench, endpoint: str) -> AsyncIterator[None]:
    async with (
        Engine(replace(bench.config, otlp_endpoint=endpoint)) as engine,
        running(Traces(engine)),
    ):
        await eventually(lambda: reads(bench))
        yield


async def reads(bench: Workbench) -> bool:
    return bool(await bench.one("SELECT count(*) FROM consumers WHERE name = 'traces'"))


def spans(trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    (resource,) = trace["resourceSpans"]
    assert resource["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "pao"}}
    ]
    (scope,) = resource["scopeSpans"]
    return list(scope["spans"])


def attributes(span: Mapping[str, Any]) -> dict[str, str]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


async def test_an_ended_request_becomes_a_trace(bench: Workbench, http_server: HttpServer) -> None:
    http_server.answer("POST", "/v1/traces", json={})
    async with tracing(bench, f"{http_server.url}/"):
        request = await bench.run(await bench.request([step("a"), step("b")]))
        sent = await eventually(lambda: found(http_server))
    (trace,) = [one.json() for one in sent]
    root, *steps = spans(trace)
    assert root["name"] == "create database"
    assert attributes(root)["pao.request_id"] == request.request_id
    assert [one["name"] for one in steps] == ["a", "b"]
    assert {one["parentSpanId"] for one in steps} == {root["spanId"]}
    assert {one["traceId"] for one in (root, *steps)} == {root["traceId"]}
    assert (len(root["traceId"]), len(root["spanId"])) == (32, 16)
    assert all(int(one["startTimeUnixNano"]) <= int(one["endTimeUnixNano"]) for one in steps)
    assert int(root["startTimeUnixNano"]) <= int(steps[0]["startTimeUnixNano"])
    assert {one["status"]["code"] for one in (root, *steps)} == {1}


async def found(server: HttpServer) -> list[Any]:
    return server.requests("POST", "/v1/traces")


async def test_failed_tries_are_events_of_their_step(bench: Workbench) -> None:
    bench.script["a"] = [fail("once"), fail("twice", kind="permanent")]
    request = await bench.run(await bench.request([step("a"), step("b")]))
    root, failed = spans(trace_of(await bench.view(request)))
    assert root["status"]["code"] == failed["status"]["code"] == 2
    assert "twice" in failed["status"]["message"]
    assert [attributes(one)["pao.attempt"] for one in failed["events"]] == ["1", "2"]
    assert "once" in attributes(failed["events"][0])["exception.message"]


async def test_what_is_sent_again_has_the_same_ids_and_no_parameter(bench: Workbench) -> None:
    fields = [{"name": "size", "type": "string"}, {"name": "token", "type": "secret"}]
    parameters = {"size": "size-that-was-asked", "token": "hush-hush-word"}
    request = await bench.run(
        await bench.request([step("a")], fields=fields, parameters=parameters)
    )
    first, second = [trace_of(await bench.view(request)) for _ in range(2)]
    assert first == second
    assert "hush" not in str(first)
    assert "size-that-was-asked" not in str(first)
    other = await bench.run(await bench.request([step("a")]))
    assert spans(trace_of(other))[0]["traceId"] != spans(first)[0]["traceId"]


async def test_a_collector_that_is_away_holds_nothing_up(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/v1/traces", status=503, times=1)
    http_server.answer("POST", "/v1/traces", json={})
    async with tracing(bench, http_server.url):
        await bench.run(await bench.request([step("a")]))
        await bench.run(await bench.request([step("a")]))
        await eventually(lambda: two(http_server))
    assert await bench.one("SELECT count(*) FROM parked_events") == 0


async def two(server: HttpServer) -> bool:
    return len(server.requests("POST", "/v1/traces")) == 2


async def test_without_a_collector_nothing_is_sent(bench: Workbench) -> None:
    request = await bench.run(await bench.request([step("a")]))
    await bench.engine.send_trace(request.request_id)


async def test_traces_keep_the_service_protocol(bench: Workbench) -> None:
    await keeps_the_service_protocol(lambda: Traces(bench.engine))


def test_the_standard_variable_names_the_collector_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4318")
    assert load().otlp_endpoint == "http://standard:4318"
    assert load().origins()["otlp_endpoint"] == "OTEL_EXPORTER_OTLP_ENDPOINT"
    monkeypatch.setenv("PAO_OTLP_ENDPOINT", "http://ours:4318")
    assert load().otlp_endpoint == "http://ours:4318"
    assert load().engine_config("postgresql://x").otlp_endpoint == "http://ours:4318"


async def test_what_the_outside_is_asked_for_stands_below_its_step(
    dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> None:
    http_server.answer("POST", "/v1/traces", json={})
    http_server.answer("POST", "/tickets", status=201, json={"id": "T-1"})
    http_server.answer("GET", "/a", json={})
    http_server.answer("POST", "/b", status=202, headers={"location": "/job"})
    http_server.answer("GET", "/job", status=404)
    steps = [
        {"name": "a", "type": "HttpGet", "template": {"url": f"{http_server.url}/a"}},
        {
            "name": "b",
            "type": "HttpPost",
            "template": {"url": f"{http_server.url}/b", "async": True},
        },
    ]
    manual = {"system": "webhook", "template": {"url": f"{http_server.url}/tickets"}}
    await add_item(connection, fulfillment={**automation(steps), "manual": manual})
    settings = config(dsn, tmp_path / "data", otlp_endpoint=http_server.url)
    async with Engine(settings) as engine:
        view = await engine.submit(ALICE, Submission({}, item="database"))
        ended = await hurried(engine, connection, view.request_id)
        assert ended.status == "failed"
        root, a, b = spans(trace_of(await engine.request(ALICE, view.request_id)))
    told = {one.path: one.headers["traceparent"] for one in http_server.received}
    assert told == {
        path: f"00-{root['traceId']}-{span['spanId']}-01"
        for path, span in {"/a": a, "/b": b, "/job": b, "/tickets": root}.items()
    }


async def test_without_a_collector_no_call_tells_of_a_trace(
    dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> None:
    http_server.answer("GET", "/a", json={})
    step = {"name": "a", "type": "HttpGet", "template": {"url": f"{http_server.url}/a"}}
    await add_item(connection, fulfillment=automation([step]))
    async with Engine(config(dsn, tmp_path / "data")) as engine:
        view = await engine.submit(ALICE, Submission({}, item="database"))
        await engine.drive(view.request_id, timeout=60)
    assert "traceparent" not in http_server.received[0].headers
