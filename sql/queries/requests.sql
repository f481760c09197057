-- name: lock_key
-- Wait until no other transaction submits under the same key; ends with the transaction.
SELECT pg_advisory_xact_lock(7301, hashtext(%(key)s));

-- name: request_of_key
-- The request that was submitted under an idempotency key.
SELECT id, request_id, submission_hash, requester_user_id
FROM service_requests WHERE idempotency_key = %(key)s;

-- name: item_to_request
-- A catalog item by name or slug, active or not, held against a sync until the transaction ends.
SELECT id, 'CatalogItem' AS kind, name, slug, coalesce(display_name, name) AS display_name, version,
       description, owner, tags, category, icon, channel, is_active, lifecycle, replaced_by, access,
       approval, presentation, fulfillment, dependencies,
       current_catalog_commit(source_file_path, source_commit) AS source_commit, source_file_path,
       source_file_hash
FROM catalog_items
WHERE name = %(name)s OR slug = %(name)s
ORDER BY is_active DESC, name = %(name)s DESC
LIMIT 1
FOR SHARE;

-- name: access_of_item
-- Who may have what of a catalog item, as it stands now.
SELECT access FROM catalog_items WHERE name = %(name)s;

-- name: lock_team_items
-- Wait until no other transaction counts the team's instances of the item.
SELECT pg_advisory_xact_lock(7302, hashtext(%(team)s || '/' || %(item_id)s::text));

-- name: count_team_items
-- How many instances of the item the team has that are not gone.
SELECT count(*) FROM service_instances
WHERE owner_team = %(team)s AND catalog_item_id = %(item_id)s
  AND instance_state NOT IN ('decommissioned', 'failed');

-- name: next_instance_number
-- The number that a new instance of the item is called by when it is given no name.
SELECT count(*) + 1 FROM service_instances WHERE catalog_item_id = %(item_id)s;

-- name: insert_request
-- Write the request; its steps and instance follow in the same transaction.
INSERT INTO service_requests (
    id, request_id, request_type, catalog_item_id, catalog_version, status, parameters,
    requester_user_id, requester_team, requester_email, idempotency_key, submission_hash, title,
    source, submitted_by, origin_channel, catalog_commit, plan, not_before)
VALUES (
    %(id)s, 'req-' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' || %(suffix)s,
    'create', %(item_id)s, %(version)s, 'submitted', %(parameters)s,
    %(user_id)s, %(team)s, %(email)s, %(key)s, %(hash)s, %(title)s,
    %(source)s, %(submitted_by)s, %(channel)s, %(commit)s, %(plan)s, %(not_before)s)
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

-- name: change_status
-- Move a request, its instances, and say so; the one way of a request's status.
SELECT update_request_status(%(id)s, %(status)s);

-- name: set_reason
-- Say why the request is about to end.
UPDATE service_requests SET reason = %(reason)s WHERE id = %(id)s;

-- name: begin_steps
-- Make a request that just went in_progress run: its steps due, its clock and counters set.
WITH counted AS (
    SELECT count(*) FILTER (WHERE status NOT IN ('completed', 'failed', 'skipped')) AS open,
           count(*) FILTER (WHERE status = 'failed') AS failed
    FROM request_steps WHERE request_id = %(id)s AND section = 'automation'
), begun AS (
    UPDATE service_requests r
    SET open_steps = counted.open,
        failed_steps = counted.failed,
        timeout_at = greatest(clock_timestamp(), r.not_before)
            + make_interval(secs => %(timeout)s::double precision)
    FROM counted
    WHERE r.id = %(id)s
    RETURNING r.id, r.not_before
), due AS (
    UPDATE request_steps s
    SET next_run_at = greatest(clock_timestamp(), begun.not_before)
    FROM begun
    WHERE s.request_id = begun.id AND s.section = 'automation' AND s.status = 'pending'
)
SELECT pg_notify('pao_steps', ''), open FROM counted;

-- name: insert_outbox
-- Remember what must be done outside, once by its key.
INSERT INTO outbox (kind, payload, request_id, step_id, key)
VALUES (%(kind)s, %(payload)s, %(request_id)s, %(step_id)s, %(key)s)
ON CONFLICT (key) DO NOTHING;

-- name: lock_request
-- Take a request for a change of its state.
SELECT id FROM service_requests WHERE id = %(id)s FOR NO KEY UPDATE;

-- name: request_by_id
-- One request with its document's and instance's names.
SELECT r.id, r.request_id, r.request_type, r.status, coalesce(r.title, '') AS title,
       ci.name AS catalog_item, cb.name AS catalog_bundle, ui.name AS update_item,
       ug.name AS upgrade_item, r.catalog_version, r.parameters, r.requester_user_id,
       r.requester_team, r.requester_email, r.created_at, r.updated_at, r.completed_at,
       r.subject_instance_id, si.instance_id, si.instance_name, r.plan, r.reason, r.not_before,
       r.origin_channel, r.source, r.submitted_by, r.open_steps, r.failed_steps, r.catalog_commit,
       coalesce(ci.owner, cb.owner, ui.owner, ug.owner, r.plan->'document'->>'owner', '') AS document_owner,
       EXISTS (
           SELECT FROM service_requests later
           WHERE later.subject_instance_id = r.subject_instance_id
             AND later.created_at > r.created_at AND later.id <> r.id
       ) AS overtaken,
       EXISTS (
           SELECT FROM request_steps s WHERE s.request_id = r.id AND s.attempt_count > 0
       ) OR EXISTS (
           SELECT FROM manual_tickets t WHERE t.request_id = r.id
       ) AS touched
FROM service_requests r
LEFT JOIN catalog_items ci ON ci.id = r.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = r.catalog_bundle_id
LEFT JOIN update_items ui ON ui.id = r.update_item_id
LEFT JOIN upgrade_items ug ON ug.id = r.upgrade_item_id
LEFT JOIN service_instances si ON si.id = r.subject_instance_id
WHERE r.id = %(id)s;

-- name: ids_exact
-- The request of a full external id.
SELECT id FROM service_requests WHERE request_id = %(word)s;

-- name: ids_like
-- Requests whose external id, or the random part of it, begins with a word.
SELECT id FROM service_requests
WHERE request_id LIKE %(word)s || '%%' OR request_id LIKE 'req-________-' || %(word)s || '%%'
ORDER BY created_at DESC LIMIT 20;

-- name: steps_of
-- The steps of a request in their order; a rollback that was never needed is left out.
SELECT id, step_id, step_name, step_type, step_config, status, position, depends_on, started_at,
       completed_at, outputs, component, section, next_run_at, phase, skip_reason, attempt_count,
       attempt_group, external
FROM request_steps
WHERE request_id = %(request_id)s
  AND (section = 'automation' OR next_run_at IS NOT NULL OR attempt_count > 0 OR status <> 'pending')
ORDER BY section <> 'automation', position;

-- name: attempts_of
-- All attempts of a request's steps.
SELECT a.id, a.step_id, a.attempt_number, a.status, a.started_at, a.completed_at, a.error_type,
       a.error_message, a.error_details, a.logs_url, a.external_job_id, a.external_job_url,
       a.verification_result, a.parameters
FROM step_attempts a JOIN request_steps s ON s.id = a.step_id
WHERE s.request_id = %(request_id)s
ORDER BY a.step_id, a.attempt_number;

-- name: tickets_of
-- The tickets of a request, and those that are still to be made.
SELECT step_id, ticket_id, ticket_system AS system, coalesce(ticket_type, 'fulfillment') AS type,
       status, ticket_url AS url, summary, NULL::text AS last_error, created_at
FROM manual_tickets WHERE request_id = %(request_id)s
UNION ALL
SELECT o.step_id, NULL, coalesce(o.payload->>'system', ''), coalesce(o.payload->>'type', 'fulfillment'),
       'creating', NULL, NULL, o.last_error, o.due
FROM outbox o
WHERE o.request_id = %(request_id)s AND o.kind = 'ticket' AND o.done_at IS NULL AND NOT o.cancelled
ORDER BY created_at;

-- name: list_requests
-- A page of requests, newest first, by the ways that lead to them (any, user, team, document): a page of each, merged.
WITH way AS (
    SELECT 'any' AS kind, NULL::text AS name, NULL::uuid AS id
    WHERE %(everything)s AND %(status)s::text IS NULL
    UNION ALL SELECT 'status', NULL, NULL WHERE %(everything)s AND %(status)s::text IS NOT NULL
    UNION ALL SELECT 'user', %(user_id)s::text, NULL WHERE %(user_id)s::text IS NOT NULL
    UNION ALL SELECT 'team', unnest(%(teams)s::text[]), NULL
    UNION ALL SELECT 'item', NULL, id FROM catalog_items WHERE owner = ANY (%(document_owners)s)
    UNION ALL SELECT 'bundle', NULL, id FROM catalog_bundles WHERE owner = ANY (%(document_owners)s)
), page AS (
    SELECT DISTINCT found.id, found.created_at
    FROM way CROSS JOIN LATERAL (
    (SELECT * FROM service_requests r
     WHERE way.kind = 'any'
       AND (%(status)s::text IS NULL OR r.status = %(status)s)
       AND (r.created_at, r.id) < (%(before)s, %(before_id)s)
     ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM service_requests r
     WHERE way.kind = 'status' AND r.status = %(status)s
       AND (r.created_at, r.id) < (%(before)s, %(before_id)s)
     ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM service_requests r
     WHERE way.kind = 'user' AND r.requester_user_id = way.name
       AND (%(status)s::text IS NULL OR r.status = %(status)s)
       AND (r.created_at, r.id) < (%(before)s, %(before_id)s)
     ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM service_requests r
     WHERE way.kind = 'team' AND r.requester_team = way.name
       AND (%(status)s::text IS NULL OR r.status = %(status)s)
       AND (r.created_at, r.id) < (%(before)s, %(before_id)s)
     ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM service_requests r
     WHERE way.kind = 'item' AND r.catalog_item_id = way.id
       AND (%(status)s::text IS NULL OR r.status = %(status)s)
       AND (r.created_at, r.id) < (%(before)s, %(before_id)s)
     ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM service_requests r
     WHERE way.kind = 'bundle' AND r.catalog_bundle_id = way.id
       AND (%(status)s::text IS NULL OR r.status = %(status)s)
       AND (r.created_at, r.id) < (%(before)s, %(before_id)s)
     ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s)
    ) AS found
    ORDER BY found.created_at DESC, found.id DESC
    LIMIT %(limit)s
)
SELECT r.id, r.request_id, r.request_type, r.status, coalesce(r.title, '') AS title,
       coalesce(ci.name, cb.name, ui.name, ug.name) AS catalog_name, r.catalog_version,
       r.requester_user_id AS requester, r.requester_team AS team, r.created_at, r.updated_at,
       r.completed_at, si.instance_id, si.instance_name
FROM page
JOIN service_requests r ON r.id = page.id
LEFT JOIN catalog_items ci ON ci.id = r.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = r.catalog_bundle_id
LEFT JOIN update_items ui ON ui.id = r.update_item_id
LEFT JOIN upgrade_items ug ON ug.id = r.upgrade_item_id
LEFT JOIN service_instances si ON si.id = r.subject_instance_id
ORDER BY r.created_at DESC, r.id DESC;

-- name: log_lines
-- The log of a step's attempts, by attempt.
SELECT a.attempt_number, l.text
FROM request_steps s
JOIN step_attempts a ON a.step_id = s.id
JOIN attempt_logs l ON l.attempt_id = a.id
WHERE s.request_id = %(request_id)s AND s.step_id = %(step)s
ORDER BY a.attempt_number, l.chunk;

-- name: reserve_instance
-- Make the instance of a create, in state provisioning.
SELECT reserve_service_instance(%(id)s, %(name)s);

-- name: wake
-- Tell whoever listens that there is something to look at.
SELECT pg_notify(%(channel)s, '');

-- name: request_outputs
-- What the completed steps of a request gave, later steps over earlier ones.
SELECT coalesce(jsonb_object_agg(output.key, output.value ORDER BY s.position), '{}')
FROM request_steps s CROSS JOIN LATERAL jsonb_each(s.outputs) AS output
WHERE s.request_id = %(request_id)s AND s.section = 'automation' AND s.status = 'completed'
  AND jsonb_typeof(s.outputs) = 'object';
