"""The founding schema stands under its own names, its plain INSERTs work, and bad rows are refused."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.founding_rows import Rows

TABLES = {
    "catalog_items": "id name version description owner tags category presentation fulfillment"
    " created_at updated_at source_file_path source_file_hash",
    "catalog_bundles": "id name version description owner tags bundle_definition presentation"
    " created_at updated_at source_file_path source_file_hash",
    "service_requests": "id request_id request_type catalog_item_id catalog_bundle_id"
    " update_item_id upgrade_item_id target_instance_id catalog_version status parameters"
    " requester_user_id requester_team requester_email created_at updated_at completed_at",
    "request_steps": "id request_id step_id step_name step_type step_config status position"
    " depends_on started_at completed_at outputs",
    "step_attempts": "id step_id attempt_number status started_at completed_at error_type"
    " error_message error_details logs_url external_job_id external_job_url verification_result",
    "manual_tickets": "id request_id step_id ticket_system ticket_id ticket_url ticket_type status"
    " created_at updated_at resolved_at",
    "catalog_sync_status": "id sync_started_at sync_completed_at status repository_url branch"
    " commit_hash items_added items_updated items_removed bundles_added bundles_updated"
    " bundles_removed error_message",
    "service_instances": "id instance_id catalog_item_id catalog_bundle_id catalog_version"
    " instance_name instance_state owner_user_id owner_team owner_email deployment_parameters"
    " deployed_resources service_outputs service_metadata created_at updated_at provisioned_at"
    " decommissioned_at creation_request_id last_update_request_id",
    "bundle_instance_members": "id bundle_instance_id member_instance_id catalog_item_name"
    " is_required member_role created_at",
    "service_instance_dependencies": "id dependent_instance_id provider_instance_id"
    " dependency_type dependency_name dependency_config is_required created_at updated_at",
    "instance_version_history": "id instance_id from_version to_version upgrade_type"
    " upgrade_request_id upgrade_item_name upgraded_at upgrade_duration_seconds upgrade_status"
    " rollback_available upgrade_notes",
    "eligible_operations": "id instance_id operation_type operation_name operation_version"
    " eligibility_status eligibility_reason evaluated_at expires_at",
    "update_items": "id name version description owner tags targets destructive downtime_required"
    " estimated_duration presentation fulfillment created_at updated_at source_file_path"
    " source_file_hash",
    "upgrade_items": "id name version description owner tags targets destructive downtime_required"
    " estimated_duration presentation fulfillment created_at updated_at source_file_path"
    " source_file_hash",
}

INDEXES = """
catalog_items: owner category tags
catalog_bundles: owner
service_requests: status created_at target_instance type
request_steps: status
manual_tickets: request_id ticket_id
catalog_sync_status: completed
service_instances: owner created_at catalog_item catalog_bundle
idx_bundle_members_member idx_version_history_instance idx_version_history_request
idx_eligible_ops_instance idx_eligible_ops_operation idx_update_items_destructive
idx_upgrade_items_downtime idx_catalog_items_name_id idx_catalog_items_created_id
idx_service_requests_user_created idx_service_requests_team_created
idx_request_steps_request_status idx_step_attempts_external_job idx_service_instances_name
idx_service_instances_state_updated idx_service_instances_owner_state
idx_service_instances_provisioned idx_dependencies_provider_required
idx_dependencies_dependent_required idx_version_history_instance_status
idx_version_history_upgrade_item idx_eligible_ops_status_expires idx_eligible_ops_evaluated
idx_bundle_members_role idx_update_items_tags idx_upgrade_items_tags idx_update_items_targets
idx_upgrade_items_targets
"""

FUNCTIONS = {
    "is_valid_status_transition": ("character varying, character varying", "boolean"),
    "update_request_status": ("uuid, character varying", "void"),
    "create_service_instance": ("uuid, character varying, jsonb, jsonb", "uuid"),
    "get_catalog_item_with_bundle_context": ("character varying", "record"),
    "get_eligible_operations": ("uuid", "record"),
    "get_instance_dependencies": ("uuid, character varying", "record"),
    "can_decommission_instance": ("uuid", "record"),
    "record_upgrade_history": (
        "uuid, uuid, character varying, character varying, character varying, character varying",
        "void",
    ),
}


@pytest.mark.parametrize("table", TABLES)
async def test_every_founding_table_has_its_columns(rows: Rows, table: str) -> None:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"

    assert set(TABLES[table].split()) <= set(await rows.all(query, table))


def founding_indexes() -> list[str]:
    names: list[str] = []
    for line in INDEXES.split("\n"):
        table, colon, columns = line.partition(": ")
        names += [f"idx_{table}_{c}" for c in columns.split()] if colon else line.split()
    return names


async def test_every_founding_index_stands_or_is_served_by_another(rows: Rows) -> None:
    there = await rows.all("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")

    assert set(founding_indexes()) - set(there) == set()


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_every_founding_function_has_its_signature(rows: Rows, function: str) -> None:
    found = await rows.all(
        "SELECT oidvectortypes(proargtypes), prorettype::regtype::text FROM pg_proc"
        " WHERE proname = %s AND pronamespace = 'public'::regnamespace",
        function,
    )

    assert found == [FUNCTIONS[function]]


async def test_no_index_repeats_another(rows: Rows) -> None:
    """Of two plain indexes one whose columns begin the other's has no reader."""
    found = await rows.all(
        "SELECT c.relname, i.indrelid::regclass::text, i.indkey::text, i.indoption::text,"
        " i.indcollation::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_am a ON a.oid = c.relam"
        " WHERE c.relnamespace = 'public'::regnamespace AND a.amname = 'btree'"
        " AND i.indpred IS NULL AND i.indexprs IS NULL"
        " AND NOT i.indisunique"
    )
    repeated = [
        (one[0], other[0])
        for one in found
        for other in found
        if one[0] != other[0]
        and one[1] == other[1]
        and all(other[part].startswith(one[part]) for part in (2, 3, 4))
        and f"{other[2]} ".startswith(f"{one[2]} ")
    ]
    assert repeated == []


async def test_the_founding_inserts_work_as_they_are_written(rows: Rows) -> None:
    item = await rows.value(
        "INSERT INTO catalog_items (name, version, owner, presentation, fulfillment)"
        " VALUES ('db', '1.0.0', 'platform', '{}', '{}') RETURNING id"
    )
    bundle = await rows.value(
        "INSERT INTO catalog_bundles (name, version, owner, bundle_definition, presentation)"
        " VALUES ('stack', '1.0.0', 'platform', '{}', '{}') RETURNING id"
    )
    instance = await rows.value(
        "INSERT INTO service_instances (instance_id, catalog_item_id, catalog_version,"
        " instance_name, instance_state, owner_user_id, owner_team, deployment_parameters)"
        " VALUES ('si-abc123def456', %s, '1.0.0', 'db', 'active', 'U1', 'payments', '{}')"
        " RETURNING id",
        item,
    )
    for type_, column, of in [
        ("create", "catalog_item_id", item),
        ("create", "catalog_bundle_id", bundle),
        ("decommission", "target_instance_id", instance),
    ]:
        request = await rows.value(
            f"INSERT INTO service_requests (request_id, request_type, {column}, catalog_version,"
            " status, parameters, requester_user_id) VALUES (gen_random_uuid()::text, %s, %s,"
            " '1.0.0', 'submitted', '{}', 'U1') RETURNING id",
            type_, of,
        )  # fmt: skip
    step = await rows.value(
        "INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, status,"
        " position, depends_on) VALUES (%s, 's1', 'one', 'HttpPost', '{}', 'pending', 1, '{s0}')"
        " RETURNING id",
        request,
    )
    statements = [
        (
            "INSERT INTO step_attempts (step_id, attempt_number, status) VALUES (%s, 1, 'running')",
            [step],
        ),
        (
            (
                "INSERT INTO manual_tickets (request_id, step_id, ticket_system, ticket_id, status)"
                " VALUES (%s, %s, 'jira', 'OPS-1', 'open')"
            ),
            [request, step],
        ),
        (
            (
                "INSERT INTO catalog_sync_status (sync_started_at, status, repository_url, branch)"
                " VALUES (now(), 'running', 'https://example.org/catalog.git', 'main')"
            ),
            [],
        ),
        (
            (
                "INSERT INTO instance_version_history (instance_id, to_version, upgrade_type,"
                " upgrade_status) VALUES (%s, '1.1.0', 'minor', 'success')"
            ),
            [instance],
        ),
        (
            (
                "INSERT INTO eligible_operations (instance_id, operation_type, operation_name,"
                " operation_version, eligibility_status) VALUES (%s, 'update', 'a', '1.0.0', 'eligible')"
            ),
            [instance],
        ),
    ]
    for statement, parameters in statements:
        assert await rows.value(f"{statement} RETURNING 1", *parameters) == 1


async def test_a_request_about_an_instance_has_it_as_its_subject(rows: Rows) -> None:
    instance = await rows.instance()
    await rows.request("decommission", target_instance_id=instance)

    assert await rows.value("SELECT subject_instance_id FROM service_requests") == instance


async def test_an_update_and_an_upgrade_of_one_name_are_cached_side_by_side(rows: Rows) -> None:
    instance = await rows.instance()
    for type_ in ("update", "upgrade"):
        await rows.value(
            "INSERT INTO eligible_operations (instance_id, operation_type, operation_name,"
            " operation_version, eligibility_status) VALUES (%s, %s, 'a', '1.0.0', 'eligible')"
            " RETURNING 1",
            instance, type_,
        )  # fmt: skip

    assert await rows.value("SELECT count(*) FROM eligible_operations") == 2


REQUEST_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"status": "done"}, "check_service_requests_status"),
    ({"source": "mail"}, "check_service_requests_source"),
    ({"catalog_version": ""}, "check_service_requests_version"),
    ({"open_steps": -1}, "check_service_requests_open_steps"),
]


@pytest.mark.parametrize(("columns", "constraint"), REQUEST_REFUSALS)
async def test_a_bad_request_is_refused_by_name(
    rows: Rows, columns: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.request(**columns)

    assert refused.value.diag.constraint_name == constraint


async def test_an_unknown_type_of_request_is_refused(rows: Rows) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await rows.request("rename", catalog_item_id=await rows.item())


@pytest.mark.parametrize("type_", ["create", "update", "upgrade", "decommission"])
@pytest.mark.parametrize(
    "given",
    [
        (),
        ("item",),
        ("bundle",),
        ("item", "bundle"),
        ("target",),
        ("item", "target"),
        ("update", "target"),
        ("upgrade", "target"),
        ("update",),
        ("update", "upgrade", "target"),
    ],
    ids="+".join,
)
async def test_a_request_refers_to_exactly_what_its_type_is_about(
    rows: Rows, type_: str, given: tuple[str, ...]
) -> None:
    right = {
        "create": [{"item"}, {"bundle"}],
        "update": [{"update", "target"}],
        "upgrade": [{"upgrade", "target"}],
        "decommission": [{"target"}],
    }
    columns = {
        "catalog_item_id": await rows.item() if "item" in given else None,
        "catalog_bundle_id": await rows.bundle() if "bundle" in given else None,
        "update_item_id": await rows.operation("update", "up") if "update" in given else None,
        "upgrade_item_id": await rows.operation("upgrade", "up") if "upgrade" in given else None,
        "target_instance_id": await rows.instance() if "target" in given else None,
    }

    if set(given) in right[type_]:
        assert await rows.request(type_, **columns)
    else:
        with pytest.raises(psycopg.errors.CheckViolation, match="check_request_type_reference"):
            await rows.request(type_, **columns)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"state": "gone"}, "check_service_instances_state"),
        ({"instance_name": ""}, "check_service_instances_name"),
        ({"catalog_version": "x" * 256}, "check_service_instances_version"),
        ({"catalog_bundle_id": None}, "check_catalog_reference"),
    ],
)
async def test_a_bad_instance_is_refused_by_name(
    rows: Rows, columns: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.instance(**columns)

    assert refused.value.diag.constraint_name == constraint


STEP = (
    "INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, position,"
    " status, phase, section, skip_reason, lease_owner, lease_expires_at, next_run_at, waiting_on)"
    " VALUES (%s, 's', 's', 'Any', '{}', 1, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING 1"
)
STEP_COLUMNS = {
    "status": "pending",
    "phase": "start",
    "section": "automation",
    "skip_reason": None,
    "lease_owner": None,
    "lease_expires_at": None,
    "next_run_at": None,
    "waiting_on": 0,
}


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"status": "done"}, "check_request_steps_status"),
        ({"phase": "think"}, "check_request_steps_phase"),
        ({"section": "prelude"}, "check_request_steps_section"),
        ({"status": "skipped", "skip_reason": "luck"}, "check_request_steps_skip_reason"),
        ({"status": "skipped"}, "check_request_steps_skipped"),
        ({"skip_reason": "manual"}, "check_request_steps_skipped"),
        ({"lease_owner": "w1"}, "check_request_steps_lease"),
        ({"lease_expires_at": "2030-01-01"}, "check_request_steps_lease"),
        ({"status": "completed", "next_run_at": "2030-01-01"}, "check_request_steps_finished"),
        ({"waiting_on": -1}, "check_request_steps_waiting_on"),
    ],
)
async def test_a_bad_step_is_refused_by_name(
    rows: Rows, columns: dict[str, Any], constraint: str
) -> None:
    request = await rows.request()

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.value(STEP, request, *(STEP_COLUMNS | columns).values())

    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        ("step_attempts", "step_id, attempt_number, status", "'{step}', 1, 'odd'"),
        (
            "manual_tickets",
            "request_id, ticket_system, ticket_id, ticket_type, status",
            "'{request}', 'jira', '1', 'odd', 'open'",
        ),
        (
            "manual_tickets",
            "request_id, ticket_system, ticket_id, status",
            "'{request}', 'jira', '1', 'odd'",
        ),
        (
            "catalog_sync_status",
            "sync_started_at, status, repository_url, branch",
            "now(), 'odd', 'u', 'b'",
        ),
        (
            "service_instance_dependencies",
            "dependent_instance_id, provider_instance_id, dependency_type",
            "'{instance}', '{other}', 'odd'",
        ),
        (
            "bundle_instance_members",
            "bundle_instance_id, member_instance_id, catalog_item_name",
            "'{instance}', '{instance}', 'a'",
        ),
        (
            "instance_version_history",
            "instance_id, to_version, upgrade_type, upgrade_status",
            "'{instance}', '1.0.0', 'odd', 'success'",
        ),
        (
            "instance_version_history",
            "instance_id, to_version, upgrade_type, upgrade_status",
            "'{instance}', '1.0.0', 'minor', 'odd'",
        ),
        (
            "eligible_operations",
            "instance_id, operation_type, operation_name, operation_version, eligibility_status",
            "'{instance}', 'odd', 'a', '1.0.0', 'eligible'",
        ),
        (
            "eligible_operations",
            "instance_id, operation_type, operation_name, operation_version, eligibility_status",
            "'{instance}', 'update', 'a', '1.0.0', 'odd'",
        ),
        ("audit_log", "actor, action, outcome", "'U1', 'a', 'odd'"),
    ],
)
async def test_odd_words_are_refused_everywhere(
    rows: Rows, table: str, columns: str, values: str
) -> None:
    request = await rows.request()
    known = {
        "request": request,
        "step": await rows.value(
            "INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config,"
            " position) VALUES (%s, 's', 's', 'Any', '{}', 1) RETURNING id",
            request,
        ),
        "instance": await rows.instance(),
        "other": await rows.instance(),
    }

    with pytest.raises(psycopg.errors.CheckViolation):
        await rows.value(
            f"INSERT INTO {table} ({columns}) VALUES ({values.format(**known)}) RETURNING 1"
        )


async def test_step_types_and_ticket_systems_are_free_for_plug_ins(rows: Rows) -> None:
    request = await rows.request()
    columns = STEP_COLUMNS | {"status": "pending"}

    assert await rows.value(STEP.replace("'Any'", "'Quantum'"), request, *columns.values())
    assert await rows.value(
        "INSERT INTO manual_tickets (request_id, ticket_system, ticket_id, status)"
        " VALUES (%s, 'paper', '1', 'open') RETURNING 1",
        request,
    )
