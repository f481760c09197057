-- name: claim
-- Fifty due steps, with lease, fence, attempt and event.
WITH due AS (
    SELECT id FROM request_steps
    WHERE waiting_on = 0 AND lease_owner IS NULL AND next_run_at <= clock_timestamp()
    ORDER BY next_run_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE request_steps s
    SET lease_owner = 'floor', lease_token = s.lease_token + 1,
        lease_expires_at = clock_timestamp() + interval '30 seconds',
        status = 'running', started_at = clock_timestamp(), attempt_count = s.attempt_count + 1
    FROM due WHERE s.id = due.id
    RETURNING s.id, s.request_id, s.lease_token, s.attempt_count
), attempts AS (
    INSERT INTO step_attempts (step_id, attempt_number, status, started_at, lease_token)
    SELECT id, attempt_count, 'running', clock_timestamp(), lease_token FROM claimed
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, id, 'step.started', jsonb_build_object('attempt', attempt_count) FROM claimed
)
SELECT id, lease_token FROM claimed;

-- name: complete
-- Outputs, freed dependents, counters, ends of requests, attempts and events of what was claimed.
WITH input AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(outputs)s::jsonb[]) AS i(id, token, outputs)
    LIMIT %(count)s -- the planner then expects one row, and goes by keys
), own AS (
    UPDATE request_steps s
    SET status = 'completed', outputs = input.outputs, lease_owner = NULL, lease_expires_at = NULL,
        next_run_at = NULL, completed_at = clock_timestamp()
    FROM input WHERE s.id = input.id AND s.lease_token = input.token
    RETURNING s.id, s.request_id, s.step_id, s.attempt_count
), attempts AS (
    UPDATE step_attempts a SET status = 'completed', completed_at = clock_timestamp()
    FROM own WHERE a.step_id = own.id AND a.attempt_number = own.attempt_count
), freed AS (
    UPDATE request_steps s SET waiting_on = s.waiting_on - ended.count
    FROM (
        SELECT dependent.id, count(*)::int AS count
        FROM own JOIN request_steps dependent
            ON dependent.request_id = own.request_id AND own.step_id = ANY (dependent.depends_on)
        GROUP BY dependent.id
    ) AS ended
    WHERE s.id = ended.id
), counted AS (
    UPDATE service_requests r
    SET open_steps = r.open_steps - closed.count,
        status = CASE WHEN r.open_steps = closed.count THEN 'completed' ELSE r.status END,
        completed_at = CASE WHEN r.open_steps = closed.count THEN clock_timestamp() END
    FROM (SELECT request_id, count(*)::int AS count FROM own GROUP BY request_id) AS closed
    WHERE r.id = closed.request_id
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, id, 'step.completed', jsonb_build_object('attempt', attempt_count) FROM own
)
SELECT count(*) FROM own;
