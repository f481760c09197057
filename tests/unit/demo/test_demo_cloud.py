"""The demo's small cloud, asked over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot import demo_cloud
from bot.demo_cloud import DemoCloud
from bot.process import running
from engine.errors import ConfigurationError
from tests.support.eventually import eventually

RESOURCE = {"kind": "database", "name": "orders", "engine": "postgresql-17"}


@pytest.fixture
async def cloud() -> AsyncIterator[DemoCloud]:
    cloud = DemoCloud(0, operation_seconds=1.0)
    await cloud.start()
    yield cloud
    await cloud.stop()


@pytest.fixture
async def client(cloud: DemoCloud) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        yield client


async def opened_ticket(client: httpx.AsyncClient, summary: str = "Do it") -> dict[str, str]:
    answer = await client.post("/v1/tickets", json={"summary": summary, "description": "<b>"})
    assert answer.status_code == 201
    ticket: dict[str, str] = answer.json()
    return ticket


async def test_an_order_is_an_operation_that_ends_in_a_healthy_resource(
    client: httpx.AsyncClient,
) -> None:
    accepted = await client.post("/v1/resources", json=RESOURCE)
    assert accepted.status_code == 202
    assert accepted.headers["retry-after"] == "1"
    operation = accepted.headers["location"]
    assert (await client.get(operation)).status_code == 202
    health = f"/v1/resources/{accepted.json()['id']}/health"
    assert (await client.get(health)).status_code == 503

    async def ready() -> httpx.Response | None:
        answer = await client.get(operation)
        return answer if answer.status_code == 200 else None

    made = (await eventually(ready)).json()
    assert (made["status"], made["name"]) == ("ready", "orders")
    assert made["facts"] == {"engine": "postgresql-17"}
    assert (await client.get(made["health_url"])).json()["status"] == "healthy"


async def test_a_repeated_order_with_the_same_key_makes_nothing_twice(
    client: httpx.AsyncClient,
) -> None:
    key = {"idempotency-key": "k1"}
    first = await client.post("/v1/resources", json=RESOURCE, headers=key)
    again = await client.post("/v1/resources", json=RESOURCE, headers=key)
    other = await client.post("/v1/resources", json=RESOURCE, headers={"idempotency-key": "k2"})
    assert first.json() == again.json() != other.json()
    assert again.headers["location"] == first.headers["location"]


async def test_queues_are_over_the_quota(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/resources", json={"kind": "queue", "name": "events"})
    assert answer.status_code == 403
    assert "quota" in answer.json()["error"]


async def test_names_and_monitors(client: httpx.AsyncClient) -> None:
    record = await client.put("/v1/dns/orders", json={"target": "10.0.0.1"})
    assert record.json() == {"fqdn": "orders.cloud.example", "target": "10.0.0.1"}
    assert (await client.delete("/v1/dns/orders")).status_code == 204
    resource = (await client.post("/v1/resources", json=RESOURCE)).json()["id"]
    monitor = await client.post("/v1/monitors", json={"resource_id": resource})
    assert monitor.status_code == 201
    assert monitor.json()["dashboard_url"].endswith(resource)
    assert (await client.post("/v1/monitors", json={"resource_id": "x"})).status_code == 404


async def test_a_ticket_is_resolved_by_the_button_of_its_page(
    client: httpx.AsyncClient, cloud: DemoCloud
) -> None:
    ticket = await opened_ticket(client, "<script>alert(1)</script>")
    assert (ticket["status"], ticket["url"]) == ("open", f"{cloud.url}/tickets/{ticket['id']}")
    page = await client.get("/tickets", headers={"accept": "text/html"})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    resolve = f"/tickets/{ticket['id']}/resolve"
    assert resolve in page.text
    answer = await client.post(resolve, headers={"origin": cloud.url})
    assert answer.status_code == 303
    assert (await client.get(ticket["url"])).json()["status"] == "resolved"
    assert resolve not in (await client.get("/tickets")).text


async def test_comments_are_kept_and_may_close_a_ticket(client: httpx.AsyncClient) -> None:
    ticket = await opened_ticket(client)
    comments = f"/tickets/{ticket['id']}/comments"
    assert (await client.post(comments, json={"text": "hello"})).json()["status"] == "open"
    closed = await client.post(comments, json={"text": "retried", "close": True})
    assert closed.json()["status"] == "closed"
    page = await client.get(ticket["url"], headers={"accept": "text/html"})
    assert "hello" in page.text
    assert "retried" in page.text


async def test_other_pages_and_other_names_are_refused(client: httpx.AsyncClient) -> None:
    ticket = await opened_ticket(client)
    resolve = f"/tickets/{ticket['id']}/resolve"
    foreign = await client.post(resolve, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert (await client.get("/tickets", headers={"host": "evil.example"})).status_code == 400
    assert (await client.get(ticket["url"])).json()["status"] == "open"


@pytest.mark.parametrize("body", ["", "[1]", "{", '{"kind": 7}', '{"kind": "database"}'])
async def test_what_is_no_order_is_refused_in_words(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post("/v1/resources", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


async def test_the_oldest_is_forgotten_when_there_is_too_much(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_cloud, "KEPT", 2)
    ids = [(await client.post("/v1/resources", json=RESOURCE)).json()["id"] for _ in range(3)]
    statuses = [(await client.get(f"/v1/resources/{id_}")).status_code for id_ in ids]
    assert statuses == [404, 200, 200]


async def test_what_was_ordered_outlives_a_restart(tmp_path: Path) -> None:
    memory = tmp_path / "cloud.json"
    headers = {"Idempotency-Key": "order-1"}
    before = DemoCloud(0, memory=memory)
    async with running(before), httpx.AsyncClient(base_url=before.url, trust_env=False) as client:
        ordered = await client.post("/v1/resources", json=RESOURCE, headers=headers)
        ticket = await opened_ticket(client)
    after = DemoCloud(0, memory=memory)
    async with running(after), httpx.AsyncClient(base_url=after.url, trust_env=False) as client:
        again = await client.post("/v1/resources", json=RESOURCE, headers=headers)
        assert (again.status_code, again.json()) == (202, ordered.json())
        assert again.headers["location"] == ordered.headers["location"]
        assert (await client.get(ordered.headers["location"])).status_code in (200, 202)
        assert (await client.get(f"/tickets/{ticket['id']}")).json()["status"] == "open"


async def test_a_file_that_cannot_be_read_is_an_empty_cloud(tmp_path: Path) -> None:
    memory = tmp_path / "cloud.json"
    memory.write_text("{not json")
    cloud = DemoCloud(0, memory=memory)
    async with running(cloud), httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        await opened_ticket(client)
    assert "Do it" in memory.read_text()


async def test_a_taken_port_is_a_sentence(cloud: DemoCloud) -> None:
    second = DemoCloud(int(cloud.url.rpartition(":")[2]))
    with pytest.raises(ConfigurationError, match="--cloud-port") as caught:
        await second.start()
    assert caught.value.code == "port_taken"
    await second.stop()
