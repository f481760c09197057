-- name: remember_delivery
-- Take a delivery for the first time: nothing comes back for one that was taken before. GitHub can send an old
-- one again by hand for three days; what is older than ninety is forgotten here.
WITH forgotten AS (
    DELETE FROM webhook_deliveries
    WHERE at < clock_timestamp() - INTERVAL '90 days' AND id <> %(id)s
)
INSERT INTO webhook_deliveries (id, source) VALUES (%(id)s, %(source)s)
ON CONFLICT (id) DO NOTHING
RETURNING TRUE;

-- name: nudge_tickets
-- Ask at once for the tickets of an outside id, in one system or in whichever has it; return how many there are.
WITH nudged AS (
    UPDATE manual_tickets
    SET next_poll_at = clock_timestamp(), poll_count = 0, nudged_at = clock_timestamp()
    WHERE ticket_id = %(ticket_id)s AND next_poll_at IS NOT NULL
      AND (%(system)s::text IS NULL OR ticket_system = %(system)s)
    RETURNING id
)
SELECT count(*), pg_notify('pao_steps', '') FROM nudged HAVING count(*) > 0;

-- name: nudge_job
-- Ask at once for the step that waits for an outside job; one that is just being looked at, as soon as that look
-- is over. Returns how many there are.
WITH nudged AS (
    UPDATE request_steps s
    SET next_run_at = CASE WHEN s.lease_owner IS NULL THEN clock_timestamp() ELSE s.next_run_at END,
        nudged_token = CASE WHEN s.lease_owner IS NOT NULL THEN s.lease_token END
    FROM step_attempts a
    WHERE a.external_job_id = %(job_id)s AND a.step_id = s.id AND a.attempt_number = s.attempt_count
      AND s.step_type = %(step_type)s AND s.status IN ('running', 'verifying') AND s.phase <> 'cancel'
      AND (s.lease_owner IS NOT NULL OR s.next_run_at IS NOT NULL)
    RETURNING s.id
)
SELECT count(*), pg_notify('pao_steps', '') FROM nudged HAVING count(*) > 0;
