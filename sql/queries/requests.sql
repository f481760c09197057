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
       si.instance_id, si.instance_name, r.plan, r.reason, r.not_before,
       r.origin_channel, r.source, r.submitted_by, r.open_steps, r.catalog_commit,
       coalesce(ci.owner, cb.owner, ui.owner, ug.owner, r.plan->'document'->>'owner', '') AS document_owner,
       EXISTS (
           SELECT FROM service_requests later
           WHERE later.subject_instance_id = r.subject_instance_id
             AND later.created_at > r.created_at AND later.id <> r.id
             AND (later.instance_state_before IS NOT NULL OR later.status = 'submitted')
       ) AS overtaken,
       CASE WHEN r.status = 'failed' AND r.request_type = 'create' THEN ARRAY(
           SELECT made.instance_name || ' (' || made.instance_id || ') is ' || made.instance_state
           FROM service_instances made
           WHERE made.creation_request_id = r.id
             AND made.instance_state IN ('decommissioning', 'decommissioned')
           ORDER BY made.id
       ) ELSE '{}' END AS gone,
       EXISTS (
           SELECT FROM request_steps s WHERE s.request_id = r.id AND s.attempt_count > 0
       ) OR EXISTS (
           SELECT FROM manual_tickets t WHERE t.request_id = r.id
       ) AS touched, r.gate, request_standing(r) AS stands, coalesce(named.users, '{}') AS approver_users,
       coalesce(named.teams, '{}') AS approver_teams
FROM service_requests r
LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT who.user_id) FILTER (WHERE who.user_id IS NOT NULL) AS users,
           array_agg(DISTINCT who.team) FILTER (WHERE who.team IS NOT NULL) AS teams
    FROM approvals a CROSS JOIN LATERAL unnest(a.approver_users, a.approver_teams) AS who(user_id, team)
    WHERE a.request_id = r.id
) named ON TRUE
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
-- The steps of a request in their order; a rollback that was never needed is left out, but where asked for.
SELECT id, step_id, step_name, step_type, step_config, status, position, depends_on, started_at,
       completed_at, outputs, component, section, next_run_at, phase, skip_reason, attempt_count,
       attempt_group, external,
       status IN ('running', 'verifying')
           AND coalesce(lease_expires_at < clock_timestamp(), FALSE) AS is_lost
FROM request_steps
WHERE request_id = %(request_id)s
  AND (%(untouched_rollback)s OR section = 'automation' OR next_run_at IS NOT NULL
       OR attempt_count > 0 OR status <> 'pending')
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
       r.completed_at, si.instance_id, si.instance_name, r.not_before,
       request_standing(r) AS stands
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

-- name: wake
-- Tell whoever listens that there is something to look at.
SELECT pg_notify(%(channel)s, '');

-- name: waiting_for
-- Requests that wait for a person: approvals that they may still give, their open tickets and failures.
WITH due AS (
    SELECT a.request_id, 'approval' AS waits_for, 1 AS rank
    FROM approvals a JOIN service_requests r ON r.id = a.request_id
    WHERE a.status = 'waiting'
      AND (a.approver_users && ARRAY[%(user_id)s::text] OR a.approver_teams && %(teams)s::text[])
      AND coalesce(a.expires_at > clock_timestamp(), TRUE)
      AND (a.self_approval
           OR r.requester_user_id <> %(user_id)s AND a.asked_by IS DISTINCT FROM %(user_id)s)
      AND NOT EXISTS (SELECT FROM approval_decisions d
                      WHERE d.approval_id = a.id AND d.user_id = %(user_id)s)
    UNION ALL
    SELECT r.id, 'ticket', 3
    FROM service_requests r JOIN manual_tickets t ON t.request_id = r.id
    WHERE r.requester_user_id = %(user_id)s AND t.status IN ('open', 'in_progress')
    UNION ALL
    SELECT r.id, 'failure', 2
    FROM service_requests r
    WHERE r.requester_user_id = %(user_id)s AND r.status = 'failed'
      AND NOT EXISTS (SELECT FROM service_requests later
                      WHERE later.subject_instance_id = r.subject_instance_id
                        AND later.created_at > r.created_at AND later.id <> r.id
                        AND (later.instance_state_before IS NOT NULL OR later.status = 'submitted'))
), first AS (
    SELECT DISTINCT ON (request_id) request_id, waits_for FROM due ORDER BY request_id, rank
)
SELECT r.id, r.request_id, r.request_type, r.status, coalesce(r.title, '') AS title,
       coalesce(ci.name, cb.name, ui.name, ug.name) AS catalog_name, r.catalog_version,
       r.requester_user_id AS requester, r.requester_team AS team, r.created_at, r.updated_at,
       r.completed_at, si.instance_id, si.instance_name, r.not_before,
       request_standing(r) AS stands, first.waits_for
FROM first
JOIN service_requests r ON r.id = first.request_id
LEFT JOIN catalog_items ci ON ci.id = r.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = r.catalog_bundle_id
LEFT JOIN update_items ui ON ui.id = r.update_item_id
LEFT JOIN upgrade_items ug ON ug.id = r.upgrade_item_id
LEFT JOIN service_instances si ON si.id = r.subject_instance_id
ORDER BY r.created_at, r.id
LIMIT %(limit)s;

-- name: chosen_dependencies
-- What was chosen for a create to be connected to; of a bundle's components as `<component>.<name>`.
SELECT d.dependency_name, provider.instance_id
FROM service_requests r
JOIN service_instance_dependencies d ON d.dependent_instance_id = r.subject_instance_id
JOIN service_instances provider ON provider.id = d.provider_instance_id
WHERE r.id = %(request_id)s AND d.dependency_name IS NOT NULL
UNION ALL
SELECT m.component_name || '.' || d.dependency_name, provider.instance_id
FROM service_requests r
JOIN bundle_instance_members m ON m.bundle_instance_id = r.subject_instance_id
JOIN service_instance_dependencies d ON d.dependent_instance_id = m.member_instance_id
JOIN service_instances provider ON provider.id = d.provider_instance_id
WHERE r.id = %(request_id)s AND d.dependency_name IS NOT NULL AND m.component_name IS NOT NULL
  AND NOT EXISTS (SELECT FROM bundle_instance_members other
                  WHERE other.bundle_instance_id = r.subject_instance_id
                    AND other.member_instance_id = provider.id);

-- name: hold_members
-- Take the instances that a create makes.
SELECT id FROM service_instances WHERE creation_request_id = %(request_id)s ORDER BY id FOR NO KEY UPDATE;

-- name: set_parameters
-- Replace the parameters of a request.
UPDATE service_requests SET parameters = %(parameters)s, updated_at = clock_timestamp()
WHERE id = %(id)s;
