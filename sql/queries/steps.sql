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
