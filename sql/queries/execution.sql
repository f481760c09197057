-- name: claim_steps
-- Take a lease on up to `limit` due steps, each with its attempt: a new one, or the one that waits.
WITH due AS (
    SELECT id, CASE WHEN status IN ('pending', 'retrying') AND phase <> 'cancel' THEN 1 ELSE 0 END AS is_new,
           next_run_at AS due_at
    FROM request_steps
    WHERE waiting_on = 0 AND lease_owner IS NULL AND next_run_at <= clock_timestamp()
      AND (%(request_id)s::uuid IS NULL OR request_id = %(request_id)s)
      AND NOT EXISTS (SELECT FROM switches WHERE name = 'paused' AND is_on)
    ORDER BY next_run_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE request_steps s
    SET lease_owner = %(owner)s,
        lease_token = s.lease_token + 1,
        lease_expires_at = clock_timestamp() + %(lease)s::interval,
        status = CASE WHEN s.status IN ('pending', 'retrying')
            THEN CASE s.phase WHEN 'verify' THEN 'verifying' ELSE 'running' END ELSE s.status END,
        started_at = coalesce(s.started_at, clock_timestamp()),
        attempt_count = s.attempt_count + due.is_new,
        group_attempts = s.group_attempts + due.is_new,
        attempt_deadline = CASE due.is_new WHEN 1 THEN NULL ELSE s.attempt_deadline END,
        poll_count = CASE WHEN s.phase = 'poll' THEN s.poll_count + 1 ELSE 0 END
    FROM due
    WHERE s.id = due.id
    RETURNING s.*, due.is_new, due.due_at
), attempts AS (
    INSERT INTO step_attempts (step_id, attempt_number, status, started_at, lease_token, attempt_group)
    SELECT id, attempt_count, 'running', clock_timestamp(), lease_token, attempt_group
    FROM claimed WHERE is_new = 1
    RETURNING id, step_id
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, id, 'step.started', jsonb_build_object('attempt', attempt_count)
    FROM claimed WHERE is_new = 1
    RETURNING id
)
SELECT c.id, c.request_id, c.step_id, c.step_name, c.step_type, c.step_config, c.section,
       c.component, c.phase, c.lease_token, c.attempt_count, c.group_attempts, c.attempt_group,
       c.losses, c.poll_count, c.external, c.skip_verification,
       coalesce(new.id, (
           SELECT a.id FROM step_attempts a
           WHERE a.step_id = c.id ORDER BY a.attempt_number DESC LIMIT 1)) AS attempt_id,
       extract(epoch FROM c.attempt_deadline - clock_timestamp())::float8 AS seconds_left,
       extract(epoch FROM clock_timestamp() - c.started_at)::float8 AS seconds_running,
       extract(epoch FROM clock_timestamp() - c.due_at)::float8 AS seconds_late,
       c.is_new = 1 AS is_new,
       pg_notify('pao_events', '') IS NOT NULL AS told
FROM claimed c LEFT JOIN attempts new ON new.step_id = c.id;

-- name: next_due
-- Seconds until the next unclaimed step, of one request or of all, is due; NULL where none waits.
SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8
FROM request_steps
WHERE waiting_on = 0 AND lease_owner IS NULL AND next_run_at IS NOT NULL
  AND (%(request_id)s::uuid IS NULL OR request_id = %(request_id)s);

-- name: keep_member_parameters
-- Keep what a member of a bundle is made with, as far as that is known only now.
WITH connected AS (
    UPDATE service_instance_dependencies d SET dependency_config = rendered.value
    FROM jsonb_each(%(connections)s) AS rendered
    WHERE d.dependent_instance_id = %(id)s AND d.dependency_name = rendered.key
)
UPDATE service_instances SET deployment_parameters = %(parameters)s
WHERE id = %(id)s AND instance_state = 'provisioning';

-- name: take_waiting
-- Take a step that waits for somebody, to end it by hand; its next write has the new token.
UPDATE request_steps
SET lease_owner = 'hand', lease_token = lease_token + 1,
    lease_expires_at = clock_timestamp() + INTERVAL '1 minute'
WHERE id = %(id)s AND status IN ('running', 'retrying') AND phase <> 'cancel'
RETURNING lease_token;

-- name: renew_leases
-- Extend the leases that are still ours: [{id, token}]; what is not returned is lost.
WITH held AS MATERIALIZED (
    SELECT s.id
    FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS held(id, token)
    JOIN request_steps s ON s.id = held.id AND s.lease_token = held.token
    WHERE s.lease_owner IS NOT NULL
    ORDER BY s.request_id, s.position
    FOR UPDATE OF s
)
UPDATE request_steps s
SET lease_expires_at = clock_timestamp() + %(lease)s::interval
FROM held
WHERE s.id = held.id AND s.lease_owner IS NOT NULL
RETURNING s.id, s.phase = 'cancel' AS is_cancelled;

-- name: remember
-- Merge into what a step needs to go on after a crash, if it is still ours.
UPDATE request_steps
SET external = external || %(external)s
WHERE id = %(id)s AND lease_token = %(token)s AND lease_owner IS NOT NULL
RETURNING external;

-- name: remember_job
-- Keep the outside job of an attempt, if its step is still ours.
UPDATE step_attempts a
SET external_job_id = coalesce(%(job_id)s, a.external_job_id),
    external_job_url = coalesce(%(job_url)s, a.external_job_url)
FROM request_steps s
WHERE a.id = %(attempt_id)s AND s.id = a.step_id
  AND s.lease_token = %(token)s AND s.lease_owner IS NOT NULL;

-- name: append_log
-- Add a chunk to an attempt's log, and say on the attempt where the log is.
WITH linked AS (
    UPDATE step_attempts SET logs_url = %(logs_url)s WHERE id = %(attempt_id)s AND logs_url IS NULL
)
INSERT INTO attempt_logs (attempt_id, chunk, text)
SELECT %(attempt_id)s, coalesce(max(chunk), 0) + 1, %(text)s
FROM attempt_logs WHERE attempt_id = %(attempt_id)s;

-- name: finish_steps
-- Write what became of claimed steps, and all that follows for their dependents and requests.
SELECT id, request_id, component, request_ended, may_go_on FROM finish_steps(%(finishes)s);

-- name: begin_rollback
-- Make the rollback of requests that failed for good due; return those that have one.
WITH due AS (
    UPDATE request_steps
    SET next_run_at = clock_timestamp()
    WHERE request_id = ANY (%(ids)s) AND section = 'rollback' AND status = 'pending'
      AND next_run_at IS NULL
      AND EXISTS (SELECT FROM service_requests r WHERE r.id = request_steps.request_id
                  AND r.failed_steps > 0)
    RETURNING request_id
), opened AS (
    UPDATE service_requests r SET open_steps = due.count
    FROM (SELECT request_id, count(*)::int AS count FROM due GROUP BY request_id) AS due
    WHERE r.id = due.request_id
    RETURNING r.id
)
SELECT id FROM opened;

-- name: end_requests
-- Give requests without an open step their end: completed, with the instance it made, or failed.
WITH ending AS MATERIALIZED (
    SELECT r.id, r.catalog_bundle_id IS NOT NULL AS is_bundle, r.failed_steps > 0 OR EXISTS (
               SELECT FROM request_steps s WHERE s.request_id = r.id AND s.section = 'automation'
                 AND s.skip_reason IN ('dependency', 'aborted')) AS has_failed
    FROM service_requests r
    WHERE r.id = ANY (%(ids)s) AND (r.status = 'in_progress') IS TRUE AND r.open_steps = 0
    ORDER BY r.id
), moved AS MATERIALIZED (
    SELECT update_request_statuses(array_agg(id), CASE WHEN has_failed THEN 'failed' ELSE 'completed' END)
    FROM ending GROUP BY has_failed
)
SELECT id, is_bundle, has_failed, (SELECT count(*) FROM moved) > 0 AS moved,
       EXISTS (SELECT FROM request_steps s WHERE s.request_id = ending.id AND s.section = 'rollback')
           AS has_rollback
FROM ending;

-- name: note_rollbacks
-- A rollback that went through is noted on its request, before the request ends.
UPDATE service_requests r SET rolled_back = TRUE
WHERE r.id = ANY (%(ids)s) AND r.failed_steps > 0
  AND EXISTS (SELECT FROM request_steps s WHERE s.request_id = r.id AND s.section = 'rollback'
              AND s.status = 'completed')
  AND NOT EXISTS (SELECT FROM request_steps s WHERE s.request_id = r.id AND s.section = 'rollback'
                  AND s.status NOT IN ('completed', 'skipped'));

-- name: skip_rollbacks
-- A rollback that was not needed is skipped.
UPDATE request_steps SET status = 'skipped', skip_reason = 'condition', completed_at = clock_timestamp()
WHERE request_id = ANY (%(ids)s) AND section = 'rollback' AND status = 'pending';

-- name: promote_instances
-- Make the instances of completed creates active, with the outputs and resources of their steps.
SELECT create_service_instance(r.id, si.instance_name, coalesce(given.outputs, '{}'), coalesce(given.resources, '[]'))
FROM service_requests r
JOIN service_instances si ON si.id = r.subject_instance_id
LEFT JOIN LATERAL (
    SELECT (SELECT jsonb_object_agg(output.key, output.value ORDER BY s.position)
            FROM request_steps s CROSS JOIN LATERAL jsonb_each(s.outputs) AS output
            WHERE s.request_id = r.id AND s.section = 'automation' AND s.status = 'completed') AS outputs,
           (SELECT jsonb_agg(resource.value ORDER BY s.position, resource.ordinality)
            FROM request_steps s
            CROSS JOIN LATERAL jsonb_array_elements(s.resources) WITH ORDINALITY AS resource
            WHERE s.request_id = r.id AND s.section = 'automation' AND s.status = 'completed'
              AND jsonb_typeof(s.resources) = 'array') AS resources
) AS given ON TRUE
WHERE r.id = ANY (%(ids)s) AND (r.request_type = 'create') IS TRUE;

-- name: activate_members
-- Make the members of bundles active whose components are done: the others may still run, or fail.
WITH done AS MATERIALIZED (
    SELECT m.member_instance_id AS id, r.id AS request_id, m.component_name AS component,
           si.deployment_parameters
               || coalesce(r.parameters->'components'->m.component_name, '{}') AS parameters
    FROM service_requests r
    JOIN bundle_instance_members m ON m.bundle_instance_id = r.subject_instance_id
    JOIN service_instances si ON si.id = m.member_instance_id
    WHERE r.id = ANY (%(ids)s) AND (r.request_type = 'create') IS TRUE AND r.abort_tickets IS NULL
      AND si.creation_request_id = r.id AND si.instance_state = 'provisioning'
      AND NOT EXISTS (
          SELECT FROM request_steps s
          WHERE s.request_id = r.id AND s.component = m.component_name
            AND s.section = 'automation'
            AND (s.status NOT IN ('completed', 'skipped') OR s.skip_reason IN ('dependency', 'aborted')))
    ORDER BY si.id
)
SELECT activate_bundle_member(
    id, outputs_of_steps(request_id, component), resources_of_instance(id), parameters)
FROM done;

-- name: promote_bundles
-- Make the instances of completed bundles active: their outputs are those of each component.
SELECT create_service_instance(r.id, si.instance_name, coalesce(given.outputs, '{}'), resources_of_instance(si.id))
FROM service_requests r
JOIN service_instances si ON si.id = r.subject_instance_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(m.component_name, coalesce(member.service_outputs, '{}')) AS outputs
    FROM bundle_instance_members m
    JOIN service_instances member ON member.id = m.member_instance_id
    WHERE m.bundle_instance_id = si.id AND m.component_name IS NOT NULL
) AS given ON TRUE
WHERE r.id = ANY (%(ids)s);

-- name: ask_for_tickets
-- Put a ticket for each step that failed for good into the outbox, where its document wants one. Work
-- that is done by hand has its ticket already; what people did not approve is not to be done.
WITH failed AS (
    SELECT r.id AS request_id, s.id, s.step_id, s.attempt_group, s.position,
           coalesce(r.plan->'components'->s.component->'fulfillment', r.plan->'fulfillment') AS fulfillment
    FROM service_requests r JOIN request_steps s ON s.request_id = r.id
    WHERE r.id = ANY (%(ids)s) AND s.section = 'automation' AND s.status = 'failed'
      AND s.step_type NOT IN ('manual', 'approval')
), asked AS (
    INSERT INTO outbox (kind, payload, request_id, step_id, key)
    SELECT 'ticket', jsonb_build_object('type', 'fulfillment', 'system', fulfillment->'manual'->>'system'),
           request_id, id,
           encode(sha256(convert_to(
               request_id || ':ticket:' || step_id || ':' || attempt_group, 'UTF8')), 'hex')
    FROM failed
    WHERE coalesce((fulfillment->'automation'->>'fallback_on_failure')::boolean, TRUE)
      AND fulfillment->'manual' IS NOT NULL
    ORDER BY request_id, position
    ON CONFLICT (key) DO NOTHING
    RETURNING request_id, step_id, payload
)
INSERT INTO events (request_id, step_id, kind, data)
SELECT request_id, step_id, 'ticket.requested', payload FROM asked;

-- name: take_over
-- Close what workers lost: the attempt failed, the step due at once, or failed after too many losses.
WITH lost AS (
    SELECT id FROM request_steps
    WHERE lease_owner IS NOT NULL AND lease_expires_at < clock_timestamp()
    ORDER BY lease_expires_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE request_steps s
SET lease_owner = 'reaper', lease_token = s.lease_token + 1,
    lease_expires_at = clock_timestamp() + %(lease)s::interval
FROM lost
WHERE s.id = lost.id
RETURNING s.id, s.lease_token AS token, s.phase, s.losses, s.attempt_count AS attempt, s.step_config,
          s.external;

-- name: held_by
-- The steps that a worker holds: what it claimed and did not finish.
SELECT s.id, s.lease_token AS token, s.phase, s.losses, s.attempt_count AS attempt, s.step_config,
       s.external
FROM request_steps s WHERE s.lease_owner = %(owner)s;

-- name: ended_attempts
-- Those of these attempts that ended a while ago.
SELECT id FROM step_attempts
WHERE id = ANY (%(ids)s) AND completed_at < clock_timestamp() - %(before)s::interval;

-- name: overdue_requests
-- Requests whose sequence has taken longer than it may.
SELECT id FROM service_requests
WHERE status = 'in_progress' AND timeout_at < clock_timestamp()
ORDER BY timeout_at LIMIT %(limit)s;

-- name: request_progress
-- How far a request is, for whoever waits for its end.
SELECT r.status, r.version,
       EXISTS (SELECT FROM outbox o WHERE o.request_id = r.id AND o.done_at IS NULL
               AND NOT o.cancelled
               -- The attempt is counted when it begins: a first one under way is not a try yet.
               AND (o.attempts = 0 OR o.attempts = 1 AND o.lease_owner IS NOT NULL)) AS has_untried
FROM service_requests r WHERE r.id = %(id)s;
