-- name: keep_component_timeouts
-- Count the timeouts of a bundle's components from now on.
UPDATE service_requests
SET component_seconds = %(seconds)s, component_timeouts_since = clock_timestamp()
WHERE id = %(id)s;

-- name: overdue_components
-- Components whose sequence has taken longer than it may.
SELECT r.id AS request_id, timeout.key AS component
FROM service_requests r
CROSS JOIN LATERAL jsonb_each_text(r.component_seconds) AS timeout
CROSS JOIN LATERAL (
    SELECT min(s.started_at) FILTER (WHERE s.started_at >= r.component_timeouts_since) AS began,
           bool_or(s.phase <> 'cancel'
               AND s.status IN ('pending', 'running', 'verifying', 'retrying')) AS is_open
    FROM request_steps s
    WHERE s.request_id = r.id AND s.component = timeout.key AND s.section = 'automation'
) AS own
WHERE r.component_seconds IS NOT NULL AND (r.status = 'in_progress') IS TRUE AND own.is_open
  AND own.began + make_interval(secs => timeout.value::double precision) < clock_timestamp()
ORDER BY own.began LIMIT %(limit)s;

-- name: stop_component
-- End a component's open steps: what runs is cancelled, what has not begun is skipped with all that needs it.
WITH RECURSIVE stopped AS (
    SELECT step_id FROM request_steps
    WHERE request_id = %(id)s AND component = %(component)s AND section = 'automation'
      AND status NOT IN ('completed', 'failed', 'skipped')
    UNION
    SELECT s.step_id FROM stopped JOIN request_steps s
        ON s.request_id = %(id)s AND stopped.step_id = ANY (s.depends_on)
    WHERE s.status = 'pending' AND s.section = 'automation'
), never AS (
    UPDATE request_steps s
    SET status = 'skipped', skip_reason = 'dependency', next_run_at = NULL,
        completed_at = clock_timestamp()
    FROM stopped
    WHERE s.request_id = %(id)s AND s.step_id = stopped.step_id AND s.status = 'pending'
    RETURNING s.id, s.request_id
), running AS (
    UPDATE request_steps s
    SET phase = 'cancel', external = s.external || '{"$cancel": "timeout"}', waiting_on = 0,
        next_run_at = CASE WHEN s.lease_owner IS NULL THEN clock_timestamp() ELSE s.next_run_at END
    FROM stopped
    WHERE s.request_id = %(id)s AND s.step_id = stopped.step_id
      AND s.status IN ('running', 'verifying', 'retrying')
    RETURNING s.id
), counted AS (
    UPDATE service_requests SET open_steps = open_steps - (SELECT count(*) FROM never)
    WHERE id = %(id)s
    RETURNING open_steps
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, id, 'step.skipped', '{"reason": "dependency"}' FROM never
)
SELECT open_steps, pg_notify('pao_steps', 'cancel') IS NOT NULL AS told FROM counted;
