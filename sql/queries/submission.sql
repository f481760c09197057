-- name: lock_key
-- Wait until no other transaction submits under the same key; ends with the transaction.
SELECT pg_advisory_xact_lock(7301, hashtext(%(key)s));

-- name: request_of_key
-- The request that was submitted under an idempotency key.
SELECT id, request_id, submission_hash, requester_user_id
FROM service_requests WHERE idempotency_key = %(key)s;

-- name: lock_instances
-- Take an instance, and the members of a bundle, for a request about it.
SELECT id FROM service_instances
WHERE id = ANY (%(id)s::uuid || ARRAY(
    SELECT member_instance_id FROM bundle_instance_members
    WHERE %(members)s AND bundle_instance_id = %(id)s))
ORDER BY id FOR NO KEY UPDATE;

-- name: active_request
-- The request that is under way about an instance.
SELECT id, request_id, request_type
FROM service_requests
WHERE subject_instance_id = %(id)s AND status IN ('submitted', 'validating', 'in_progress', 'resuming');

-- name: members
-- The living members of a bundle's instance, with the component that each was made as.
SELECT si.id, si.instance_id, si.instance_name, si.catalog_item_id AS document_id,
       coalesce(m.component_name, si.instance_id) AS component, m.member_role AS role,
       m.is_required, si.provisioned_at IS NOT NULL AS was_provisioned,
       ARRAY(
           SELECT d.provider_instance_id FROM service_instance_dependencies d
           WHERE d.dependent_instance_id = si.id
       ) AS providers
FROM bundle_instance_members m
JOIN service_instances si ON si.id = m.member_instance_id
WHERE m.bundle_instance_id = %(id)s AND si.instance_state <> 'decommissioned'
ORDER BY component;

-- name: steps_begun
-- The steps that ever began on instances, in the order in which they were first made.
SELECT work.instance_id AS instance, s.step_name, s.step_type, s.step_config, r.catalog_commit,
       s.status = 'completed' AND NOT EXISTS (
           SELECT FROM step_attempts a WHERE a.step_id = s.id AND a.status = 'completed'
       ) AS by_hand,
       coalesce(CASE WHEN work.component IS NULL THEN r.plan->'presentation'
           ELSE r.plan->'components'->work.component->'presentation' END, '{}') AS presentation,
       coalesce(r.plan->'targets', '{}') AS targets
FROM (
    SELECT r.subject_instance_id AS instance_id, r.id AS request_id, NULL::text AS component
    FROM service_requests r
    WHERE r.subject_instance_id = ANY (%(ids)s) AND r.request_type <> 'decommission'
    UNION ALL
    SELECT m.member_instance_id, bundle.creation_request_id, m.component_name
    FROM bundle_instance_members m
    JOIN service_instances bundle ON bundle.id = m.bundle_instance_id
    WHERE m.member_instance_id = ANY (%(ids)s)
) AS work
JOIN service_requests r ON r.id = work.request_id
JOIN request_steps s ON s.request_id = r.id AND s.component IS NOT DISTINCT FROM work.component
WHERE s.attempt_count > 0 AND s.section IN ('automation', 'rollback')
ORDER BY r.created_at, s.section, s.position;

-- name: lock_team_documents
-- Wait until no other transaction counts the team's instances of the document.
SELECT pg_advisory_xact_lock(7302, hashtext(%(team)s || '/' || %(document_id)s::text));

-- name: count_team_documents
-- How many instances of the document the team has that are not gone.
SELECT count(*) FROM service_instances
WHERE owner_team = %(team)s
  AND (catalog_item_id = %(document_id)s OR catalog_bundle_id = %(document_id)s)
  AND instance_state NOT IN ('decommissioned', 'failed');

-- name: next_instance_number
-- The number that a new instance of the document is called by when it is given no name.
SELECT count(*) + 1 FROM service_instances
WHERE catalog_item_id = %(document_id)s OR catalog_bundle_id = %(document_id)s;

-- name: insert_request
-- Write the request; its steps and instances follow in the same transaction.
INSERT INTO service_requests (
    id, request_id, request_type, catalog_item_id, catalog_bundle_id, update_item_id,
    upgrade_item_id, target_instance_id, catalog_version, status, parameters, requester_user_id,
    requester_team, requester_email, idempotency_key, submission_hash, title, source, submitted_by,
    origin_channel, catalog_commit, plan, not_before)
VALUES (
    %(id)s, 'req-' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' || %(suffix)s,
    %(type)s,
    CASE WHEN %(kind)s = 'CatalogItem' THEN %(document_id)s::uuid END,
    CASE WHEN %(kind)s = 'CatalogBundle' THEN %(document_id)s::uuid END,
    CASE WHEN %(kind)s = 'UpdateItem' THEN %(document_id)s::uuid END,
    CASE WHEN %(kind)s = 'UpgradeItem' THEN %(document_id)s::uuid END,
    %(target)s, %(version)s, 'submitted', %(parameters)s, %(user_id)s, %(team)s, %(email)s, %(key)s,
    %(hash)s, %(title)s, %(source)s, %(submitted_by)s, %(channel)s, %(commit)s, %(plan)s,
    %(not_before)s)
RETURNING request_id;

-- name: insert_steps
-- Write the planned steps of a request: [{step_id, step_name, ...}].
INSERT INTO request_steps (
    request_id, step_id, step_name, step_type, step_config, position, depends_on, waiting_on,
    component, section)
SELECT %(request_id)s, step_id, step_name, step_type, step_config, position,
       ARRAY(SELECT jsonb_array_elements_text(depends_on)), waiting_on, component, section
FROM jsonb_to_recordset(%(steps)s) AS step(
    step_id TEXT, step_name TEXT, step_type TEXT, step_config JSONB, position INT,
    depends_on JSONB, waiting_on INT, component TEXT, section TEXT);

-- name: reserve_instance
-- Make the instance of a create, in state provisioning.
SELECT reserve_service_instance(%(id)s, %(name)s);

-- name: reserve_members
-- Make the members of a bundle's create, in state provisioning, and connect them.
SELECT reserve_bundle_members(%(id)s, %(members)s);

-- name: insert_dependencies
-- Connect the new instance with its providers: [{provider, type, name, config, required}].
WITH inserted AS (
    INSERT INTO service_instance_dependencies (
        dependent_instance_id, provider_instance_id, dependency_type, dependency_name,
        dependency_config, is_required)
    SELECT %(instance_id)s, provider, type, name, config, required
    FROM jsonb_to_recordset(%(dependencies)s) AS chosen(
        provider UUID, type TEXT, name TEXT, config JSONB, required BOOLEAN)
    ORDER BY provider
    RETURNING provider_instance_id, dependency_name, dependency_type
)
INSERT INTO events (request_id, instance_id, kind, data)
SELECT %(request_id)s, %(instance_id)s, 'dependency.added', jsonb_build_object(
    'provider', si.instance_id, 'name', inserted.dependency_name, 'type', inserted.dependency_type)
FROM inserted JOIN service_instances si ON si.id = inserted.provider_instance_id;

-- name: providers
-- Instances by external id, as dependencies of a submission name them.
SELECT si.id, si.instance_id, si.instance_name, si.instance_state, si.owner_user_id, si.owner_team,
       si.catalog_version, si.service_outputs, coalesce(ci.name, cb.name) AS catalog_name,
       coalesce(ci.slug, cb.slug) AS catalog_slug, coalesce(ci.owner, cb.owner) AS document_owner
FROM service_instances si
LEFT JOIN catalog_items ci ON ci.id = si.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = si.catalog_bundle_id
WHERE si.instance_id = ANY (%(instance_ids)s);
