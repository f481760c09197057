"""Traces: an ended request reaches the collector, once, with a span for each step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bot.process import running
from bot.settings import load
from bot.tracing import Traces
from engine import Engine
from engine.tracing import trace_of
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer
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
