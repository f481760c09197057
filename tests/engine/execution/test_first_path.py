"""From a submission to an active instance, over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine import Engine, Submission
from engine.store.pool import Connection
from tests.support.engines import ALICE, add_item, automation, config
from tests.support.http_server import HttpServer


async def test_a_request_with_an_http_step_becomes_an_active_instance(
    dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> None:
    http_server.answer("POST", "/databases", status=201, json={"endpoint": "db.internal", "id": 7})
    step = {
        "name": "create",
        "type": "HttpPost",
        "template": {"url": f"{http_server.url}/databases", "body": {"size": "{{ size }}"}},
    }
    await add_item(connection, fulfillment=automation([step]))

    async with Engine(config(dsn, tmp_path)) as engine:
        view = await engine.submit(ALICE, Submission({"size": "large"}, item="database"))
        ended = await engine.drive(view.request_id, timeout=20)

        assert ended.status == "completed", ended
        assert ended.outputs == {"endpoint": "db.internal", "id": 7}
        assert http_server.requests("POST", "/databases")[0].json() == {"size": "large"}
        instance = await engine.instance(ALICE, ended.instance_id or "")
        assert instance.instance_state == "active"
        assert instance.service_outputs["endpoint"] == "db.internal"


async def test_the_body_of_a_call_may_have_statements(
    dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> None:
    http_server.answer("POST", "/databases", status=201, json={})
    body = (
        "{% if size %}{% for p in parameters %}{{ p.name }}={{ p.value }};{% endfor %}{% endif %}"
    )
    template = {"url": f"{http_server.url}/databases", "body": body}
    step = {"name": "create", "type": "HttpPost", "template": template}
    await add_item(connection, fulfillment=automation([step]))

    async with Engine(config(dsn, tmp_path)) as engine:
        order = Submission({"size": "large"}, item="database")
        planned = await engine.submit(ALICE, replace(order, dry_run=True))
        view = await engine.submit(ALICE, order)
        ended = await engine.drive(view.request_id, timeout=20)

    rehearsal = planned.steps[0].rehearsal or {}
    assert (rehearsal["problem"], rehearsal["template"]["body"]) == (None, "size=large;")
    assert ended.status == "completed", ended
    assert http_server.requests("POST", "/databases")[0].body == b"size=large;"
