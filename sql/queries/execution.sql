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

-- name: members_of_requests
-- The members of the bundles that these requests are about, with what templates see of them.
SELECT r.id AS request_id, m.component_name AS component, si.id, si.instance_id, si.instance_name,
       si.catalog_version, si.deployment_parameters,
       CASE WHEN r.request_type = 'create' THEN outputs_of_steps(r.id, m.component_name)
           ELSE coalesce(si.service_outputs, '{}') END AS outputs,
       coalesce((
           SELECT jsonb_object_agg(d.dependency_name, jsonb_build_object(
               'instance_id', provider.instance_id, 'name', provider.instance_name,
               'outputs', coalesce(provider.service_outputs, '{}')))
           FROM service_instance_dependencies d
           JOIN service_instances provider ON provider.id = d.provider_instance_id
           WHERE d.dependent_instance_id = si.id AND d.dependency_name IS NOT NULL
       ), '{}') AS dependencies
FROM service_requests r
JOIN bundle_instance_members m ON m.bundle_instance_id = r.subject_instance_id
JOIN service_instances si ON si.id = m.member_instance_id
WHERE r.id = ANY (%(ids)s) AND m.component_name IS NOT NULL;

-- name: steps_of_past
-- What the steps of everything done to an instance gave, oldest first, for its decommission: by
-- component where it is a bundle's; of a member alone without one.
SELECT r.id AS request_id,
       CASE WHEN source.part IS NULL THEN coalesce(source.component, s.component) END AS component,
       s.step_name, CASE s.status WHEN 'completed' THEN s.outputs END AS outputs
FROM service_requests r
CROSS JOIN LATERAL (
    SELECT r.target_instance_id AS instance_id, NULL::text AS component, NULL::text AS part
    UNION ALL
    SELECT member_instance_id, component_name, NULL
    FROM bundle_instance_members WHERE bundle_instance_id = r.target_instance_id
    UNION ALL
    SELECT bundle_instance_id, NULL, component_name
    FROM bundle_instance_members WHERE member_instance_id = r.target_instance_id
) AS source
JOIN service_requests made ON made.subject_instance_id = source.instance_id
    AND made.request_type <> 'decommission'
JOIN request_steps s ON s.request_id = made.id AND s.section = 'automation'
    AND (source.part IS NULL OR s.component = source.part)
WHERE r.id = ANY (%(ids)s)
ORDER BY made.created_at, s.position;

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

-- name: requests_of_claims
-- What the steps of these requests are rendered from.
SELECT r.id, r.request_id, r.request_type, r.plan, r.parameters, r.requester_user_id,
       r.requester_team, r.requester_email, coalesce(p.name, r.requester_user_id) AS requester_name,
       r.catalog_commit, si.instance_id, si.instance_name, si.catalog_version AS instance_version,
       si.service_outputs, si.deployment_parameters,
       coalesce(steps.outputs, '{}') AS steps,
       coalesce(providers.found, '{}') AS dependencies
FROM service_requests r
LEFT JOIN people p ON p.user_id = r.requester_user_id
LEFT JOIN service_instances si ON si.id = r.subject_instance_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(s.step_id, CASE s.status WHEN 'completed' THEN s.outputs END) AS outputs
    FROM request_steps s WHERE s.request_id = r.id AND s.section = 'automation'
) steps ON TRUE
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(d.dependency_name, jsonb_build_object(
        'instance_id', provider.instance_id, 'name', provider.instance_name,
        'outputs', coalesce(provider.service_outputs, '{}'))) AS found
    FROM service_instance_dependencies d
    JOIN service_instances provider ON provider.id = d.provider_instance_id
    WHERE d.dependent_instance_id = r.subject_instance_id
) providers ON TRUE
WHERE r.id = ANY (%(ids)s);

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

-- name: lock_steps
-- Take all steps of a request in their order; what refers to them (an event, a ticket) may still be written.
SELECT id FROM request_steps WHERE request_id = %(id)s ORDER BY position FOR NO KEY UPDATE;

-- name: cancel_steps
-- End a request's open steps: what never ran is skipped, what waits or runs is cancelled.
WITH never AS (
    UPDATE request_steps
    SET status = 'skipped', skip_reason = %(skip_reason)s, next_run_at = NULL,
        completed_at = clock_timestamp()
    WHERE request_id = %(id)s AND status = 'pending'
      AND (section = 'automation' OR next_run_at IS NOT NULL)
    RETURNING id, request_id
), running AS (
    UPDATE request_steps
    SET phase = 'cancel',
        external = external || jsonb_build_object('$cancel', %(error_type)s::text),
        waiting_on = 0,
        next_run_at = CASE WHEN lease_owner IS NULL THEN clock_timestamp() ELSE next_run_at END
    WHERE request_id = %(id)s AND status IN ('running', 'verifying', 'retrying')
    RETURNING id
), counted AS (
    UPDATE service_requests
    SET open_steps = (SELECT count(*) FROM running), timeout_at = NULL
    WHERE id = %(id)s
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, id, 'step.skipped', jsonb_build_object('reason', %(skip_reason)s::text) FROM never
)
SELECT (SELECT count(*) FROM running)::int AS running, (SELECT count(*) FROM never)::int AS skipped,
       pg_notify('pao_steps', 'cancel') IS NOT NULL AS told;

-- name: step_reset
-- Make steps pending again in a new attempt group: those named, or every failed one where none is.
WITH RECURSIVE again AS (
    SELECT s.step_id FROM request_steps s
    WHERE s.request_id = %(id)s
      AND s.section = 'automation'
      AND (s.status = 'failed' AND (%(step)s::text IS NULL OR s.step_id = %(step)s)
           OR %(step)s::text IS NULL AND s.skip_reason = 'dependency'
           OR %(from_first)s AND s.status = 'completed')
    UNION
    SELECT s.step_id FROM again JOIN request_steps s
        ON s.request_id = %(id)s AND again.step_id = ANY (s.depends_on)
    WHERE s.status = 'skipped' AND s.skip_reason = 'dependency'
), reset AS (
    UPDATE request_steps s
    SET status = 'pending', skip_reason = NULL, started_at = NULL, completed_at = NULL,
        outputs = NULL, attempt_group = s.attempt_group + 1, group_attempts = 0, losses = 0, poll_count = 0,
        phase = 'start', next_run_at = NULL, attempt_deadline = NULL,
        skip_verification = %(skip_verification)s,
        external = s.external - '$cancel' - '$result'
    FROM again WHERE s.request_id = %(id)s AND s.step_id = again.step_id
    RETURNING s.id, s.request_id
), told AS (
    INSERT INTO events (request_id, step_id, kind)
    SELECT request_id, id, 'step.pending' FROM reset
)
SELECT count(*)::int FROM reset;

-- name: release_skipped
-- Make the steps pending again that were skipped because of one that is done now.
WITH RECURSIVE again AS (
    SELECT %(step)s::text AS step_id
    UNION
    SELECT s.step_id FROM again JOIN request_steps s
        ON s.request_id = %(id)s AND again.step_id = ANY (s.depends_on)
    WHERE s.status = 'skipped' AND s.skip_reason = 'dependency'
), reset AS (
    UPDATE request_steps s
    SET status = 'pending', skip_reason = NULL, completed_at = NULL, phase = 'start', next_run_at = NULL
    FROM again WHERE s.request_id = %(id)s AND s.step_id = again.step_id AND s.status = 'skipped'
      AND s.skip_reason = 'dependency'
    RETURNING s.id, s.request_id
), told AS (
    INSERT INTO events (request_id, step_id, kind)
    SELECT request_id, id, 'step.pending' FROM reset
)
SELECT count(*)::int FROM reset;

-- name: skip_blocked
-- Skip again what cannot run because a step before it is still failed.
WITH RECURSIVE blocked AS (
    SELECT step_id FROM request_steps WHERE request_id = %(id)s AND status = 'failed'
    UNION
    SELECT s.step_id FROM blocked JOIN request_steps s
        ON s.request_id = %(id)s AND blocked.step_id = ANY (s.depends_on)
    WHERE s.status = 'pending' AND s.section = 'automation'
), skipped AS (
    UPDATE request_steps s
    SET status = 'skipped', skip_reason = 'dependency', next_run_at = NULL,
        completed_at = clock_timestamp()
    FROM blocked
    WHERE s.request_id = %(id)s AND s.step_id = blocked.step_id AND s.status = 'pending'
    RETURNING s.id, s.request_id
)
INSERT INTO events (request_id, step_id, kind, data)
SELECT request_id, id, 'step.skipped', '{"reason": "dependency"}' FROM skipped;

-- name: count_waiting
-- Count anew, for every pending step of a request, how many it waits for.
UPDATE request_steps s
SET waiting_on = (
    SELECT count(*) FROM request_steps before
    WHERE before.request_id = s.request_id AND before.step_id = ANY (s.depends_on)
      AND NOT (before.status = 'completed'
               OR before.status = 'skipped' AND before.skip_reason IN ('condition', 'manual')))
WHERE s.request_id = %(id)s AND s.status = 'pending';

-- name: close_step
-- End a failed step by hand: completed with outputs, or skipped.
WITH closed AS (
    UPDATE request_steps
    SET status = %(status)s, skip_reason = %(skip_reason)s, outputs = %(outputs)s,
        completed_at = clock_timestamp(), next_run_at = NULL
    WHERE request_id = %(id)s AND step_id = %(step)s AND status = 'failed'
    RETURNING id, request_id
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, id, 'step.' || %(status)s::text, %(data)s FROM closed
)
SELECT id FROM closed;

-- name: reset_rollback
-- Make the rollback of a request that goes on ready for another failure.
UPDATE request_steps
SET status = 'pending', skip_reason = NULL, completed_at = NULL, outputs = NULL, next_run_at = NULL,
    attempt_group = attempt_group + 1, group_attempts = 0, losses = 0, phase = 'start', waiting_on = cardinality(depends_on)
WHERE request_id = %(id)s AND section = 'rollback' AND (attempt_count > 0 OR status = 'skipped');

-- name: set_parameters
-- Replace the parameters of a request.
UPDATE service_requests SET parameters = %(parameters)s, updated_at = clock_timestamp()
WHERE id = %(id)s;

-- name: request_progress
-- How far a request is, for whoever waits for its end.
SELECT r.status, r.version,
       EXISTS (SELECT FROM outbox o WHERE o.request_id = r.id AND o.done_at IS NULL
               AND NOT o.cancelled
               -- The attempt is counted when it begins: a first one under way is not a try yet.
               AND (o.attempts = 0 OR o.attempts = 1 AND o.lease_owner IS NOT NULL)) AS has_untried
FROM service_requests r WHERE r.id = %(id)s;
