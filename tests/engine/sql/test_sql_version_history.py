"""record_upgrade_history: how an update or upgrade ended."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.founding_rows import Rows


async def record(rows: Rows, instance: UUID, before: str | None, after: str, *more: object) -> None:
    places = ", ".join(["%s"] * len(more))
    await rows.value(
        f"SELECT record_upgrade_history(%s, %s, %s, %s, {places or chr(39) + 'to' + chr(39)})",
        instance, None, before, after, *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "type_"),
    [
        ("1.0.0", "2.0.0", "major"),
        ("1.9.9", "2.9.9", "major"),
        ("1.0.0", "1.1.0", "minor"),
        ("1.1.0", "1.1.1", "patch"),
        ("1.10.0", "1.9.0", "minor"),
        ("2.0.0-rc.1", "2.0.0", "patch"),
        ("2.0.0-rc.1", "2.0.0-rc.2", "patch"),
        ("1.9.0", "2.0.0-rc.1", "major"),
        ("1.0.0", "1.0.0", "configuration"),
        ("1.0.0", "1.0.0+build.5", "configuration"),
        ("1.0.0+a.b", "1.0.0+c", "configuration"),
        (None, "1.1.0", "configuration"),
        ("14", "15", "major"),
        ("14", "14.1", "minor"),
        ("14", "14.0.0", "configuration"),
    ],
)
async def test_the_first_part_that_differs_names_the_upgrade(
    rows: Rows, before: str | None, after: str, type_: str
) -> None:
    instance = await rows.instance()

    await record(rows, instance, before, after)

    read = "SELECT from_version, to_version, upgrade_type, upgrade_status FROM instance_version_history"
    assert await rows.all(read) == [(before, after, type_, "success")]


@pytest.mark.parametrize(
    ("status", "version"), [("success", "2.0.0"), ("failed", "1.0.0"), ("rolled_back", "1.0.0")]
)
async def test_only_success_moves_the_version(rows: Rows, status: str, version: str) -> None:
    instance = await rows.instance(catalog_version="1.0.0")

    await record(rows, instance, "1.0.0", "2.0.0", "to-2", status)

    moved = "SELECT catalog_version FROM service_instances WHERE id = %s"
    assert await rows.value(moved, instance) == version


async def test_an_unknown_status_is_refused(rows: Rows) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await record(rows, await rows.instance(), "1.0.0", "2.0.0", "to-2", "perhaps")


async def test_an_update_is_configuration_whatever_the_versions(rows: Rows) -> None:
    request = await rows.request("update", "completed")
    instance = await rows.value("SELECT target_instance_id FROM service_requests")

    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '2.0.0', 'resize')", instance, request
    )

    assert await rows.value("SELECT upgrade_type FROM instance_version_history") == "configuration"


async def test_a_later_success_adds_a_second_row(rows: Rows) -> None:
    instance = await rows.instance()

    await record(rows, instance, "1.0.0", "2.0.0", "to-2", "failed")
    await record(rows, instance, "1.0.0", "2.0.0", "to-2")

    read = "SELECT upgrade_status FROM instance_version_history ORDER BY upgraded_at"
    assert await rows.all(read) == ["failed", "success"]


async def test_the_duration_counts_from_the_request(rows: Rows) -> None:
    request = await rows.request("upgrade", "completed")
    await rows.value(
        "UPDATE service_requests SET created_at = clock_timestamp() - interval '90 s' RETURNING 1"
    )
    instance = await rows.value("SELECT target_instance_id FROM service_requests")

    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '2.0.0', 'to-2')", instance, request
    )

    seconds = await rows.value("SELECT upgrade_duration_seconds FROM instance_version_history")
    assert 90 <= seconds < 120


FULFILLMENT = {"manual": {}, "rollback": {"steps": []}}


@pytest.mark.parametrize("pinned", [True, False])
async def test_rollback_and_notes_come_from_the_document_as_it_was_requested(
    rows: Rows, pinned: bool
) -> None:
    upgrade = await rows.operation("upgrade", "to-2", fulfillment={} if pinned else FULFILLMENT)
    await rows.value(
        "UPDATE upgrade_items SET targets = %s RETURNING 1",
        Jsonb({"notes": "newer" if pinned else "restart your pods"}),
    )
    plan = {"fulfillment": FULFILLMENT, "targets": {"notes": "restart your pods"}}
    request = await rows.request(
        "upgrade", "completed", upgrade_item_id=upgrade, plan=plan if pinned else {}
    )
    instance = await rows.value("SELECT target_instance_id FROM service_requests")

    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '2.0.0', 'to-2')", instance, request
    )

    read = "SELECT rollback_available, upgrade_notes FROM instance_version_history"
    assert await rows.all(read) == [(True, "restart your pods")]
