"""Lists and the claim read what they show, not the table: the plans of the engine's sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from engine.requests import views
from engine.store import queries, requests
from engine.store.pool import Connection
from tests.support.engines import ALICE, add_item
from tests.support.workbench import Workbench

FILL = """
INSERT INTO service_requests (request_id, request_type, catalog_item_id, catalog_version, status,
    parameters, requester_user_id, requester_team, created_at)
SELECT 'req-x-' || n, 'create', (SELECT id FROM catalog_items LIMIT 1), '1.0.0',
    CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END, '{}',
    'user-' || n % 500, 'team-' || n % 200, now() - n * interval '1 second'
FROM generate_series(1, 20000) AS n
"""
FILL_STEPS = """
INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, status, position,
    waiting_on, next_run_at)
SELECT r.id, 'a', 'a', 'Scripted', '{}', CASE WHEN n % 200 = 0 THEN 'pending' ELSE 'completed' END,
    0, 0, CASE WHEN n % 200 = 0 THEN clock_timestamp() END
FROM (SELECT id, row_number() OVER () AS n FROM service_requests) r
"""
WHOSE: dict[str, dict[str, Any]] = {
    "everything": {"everything": True},
    "a status": {"everything": True, "status": "failed"},
    "a person": {"user_id": "user-7"},
    "teams": {"teams": ["team-7", "team-9"]},
    "a document's owner": {"document_owners": ["platform"]},
}


async def plan(connection: Connection, query: str, parameters: dict[str, Any]) -> Any:
    """The generic plan of a query, with what it read."""
    order = list(parameters)
    numbered = re.sub(r"%\((\w+)\)s", lambda m: f"${order.index(m[1]) + 1}", query)
    await connection.execute(f"PREPARE asked AS {numbered.replace('%%', '%')}".encode())
    values = sql.SQL(", ").join(sql.Literal(parameters[name]) for name in order)
    row = await (
        await connection.execute(
            sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({})").format(values)
        )
    ).fetchone()
    assert row is not None
    found = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return found[0]["Plan"]


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("whose", WHOSE)
async def test_a_list_reads_about_a_page(bench: Workbench, whose: str) -> None:
    await add_item(bench.connection)
    await bench.connection.execute(FILL.encode())
    await bench.connection.execute("ANALYZE service_requests")
    parameters = {
        "everything": False,
        "user_id": None,
        "teams": [],
        "document_owners": [],
        "status": None,
        "before": "infinity",
        "before_id": "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "limit": 21,
    } | WHOSE[whose]
    found = await plan(bench.connection, queries.load("requests").list_requests, parameters)
    read = [
        node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        for node in nodes(found)
        if node.get("Relation Name") == "service_requests"
    ]
    assert sum(read) < 200, read


async def test_pages_follow_each_other_without_gaps(bench: Workbench) -> None:
    await add_item(bench.connection)
    await bench.connection.execute(FILL.encode())
    first = await requests.list_requests(
        bench.connection, requests.RequestFilter(everything=True, limit=30)
    )
    second = await requests.list_requests(
        bench.connection,
        requests.RequestFilter(
            everything=True, before=(first[9].created_at, first[9].id), limit=20
        ),
    )
    assert [one.id for one in second] == [one.id for one in first[10:]]
    page = await views.page(bench.connection, ALICE, scope="all", limit=5)
    assert page.items == []


async def test_the_claim_reads_its_index_alone(bench: Workbench) -> None:
    await add_item(bench.connection)
    await bench.connection.execute(FILL.encode())
    await bench.connection.execute(FILL_STEPS.encode())
    await bench.connection.execute("ANALYZE request_steps")
    parameters = {"request_id": None, "limit": 10, "owner": "w", "lease": "30 seconds"}
    claim = queries.load("execution").claim_steps
    found = await plan(bench.connection, claim, parameters)
    steps = [node for node in nodes(found) if node.get("Relation Name") == "request_steps"]
    assert any(node.get("Index Name") == "idx_request_steps_due" for node in steps)
    assert not [node for node in steps if node["Node Type"] == "Seq Scan"], steps


FILL_CATALOG = """
INSERT INTO catalog_items (name, version, owner, presentation, fulfillment)
SELECT 'item-' || n, '1.0.0', 'platform', '{}', '{}' FROM generate_series(1, 5000) AS n;
INSERT INTO catalog_bundles (name, version, owner, presentation, bundle_definition)
SELECT 'bundle-' || n, '1.0.0', 'platform', '{}', jsonb_build_object('required_items',
    jsonb_build_array(jsonb_build_object('catalog_item', 'item-' || n)))
FROM generate_series(1, 2000) AS n;
INSERT INTO service_instances (instance_id, catalog_item_id, catalog_version, instance_name,
    instance_state, owner_user_id, owner_team, deployment_parameters)
SELECT 'si-' || n, (SELECT id FROM catalog_items LIMIT 1), '1.0.0', 'x', 'active', 'U1', 'payments',
    '{}'
FROM generate_series(1, 20000) AS n;
UPDATE service_requests r SET subject_instance_id = si.id
FROM (SELECT id, row_number() OVER () AS n FROM service_instances) si
JOIN (SELECT id, row_number() OVER () AS n FROM service_requests) one ON one.n = si.n
WHERE r.id = one.id;
ANALYZE;
"""


async def test_a_submission_reads_what_it_is_about(bench: Workbench) -> None:
    await add_item(bench.connection)
    for statements in (FILL, FILL_STEPS, FILL_CATALOG):
        await bench.connection.execute(statements.encode())
    item = str(await bench.one("SELECT id FROM catalog_items LIMIT 1 OFFSET 700"))
    instance = str(await bench.one("SELECT id FROM service_instances LIMIT 1 OFFSET 700"))
    submission, documents = queries.load("submission"), queries.load("documents")
    asked: dict[str, dict[str, Any]] = {
        "hold_items": {"names": ["item-7"]},
        "hold_items_of_bundle": {"name": "bundle-7"},
        "documents": {"ids": [item]},
        "lock_instances": {"id": instance, "members": True},
        "active_request": {"id": instance},
        "members": {"id": instance},
        "steps_begun": {"ids": [instance]},
    }
    for name, parameters in asked.items():
        query = getattr(submission, name, None) or getattr(documents, name)
        found = await plan(bench.connection, query, parameters)
        await bench.connection.execute("DEALLOCATE asked")
        read = {
            node["Relation Name"]: node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            for node in nodes(found)
            if "Relation Name" in node
        }
        assert sum(read.values()) < 200, (name, read)
