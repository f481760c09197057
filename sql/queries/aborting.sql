-- name: note_abort
-- The request is aborted as soon as its clean-up has ended, whatever came of it.
UPDATE service_requests SET abort_tickets = %(tickets)s, reason = %(reason)s, timeout_at = NULL
WHERE id = %(id)s;

-- name: being_aborted
-- Those of these requests that are being aborted.
SELECT id FROM service_requests WHERE id = ANY (%(ids)s) AND abort_tickets IS NOT NULL;

-- name: begin_cleanup
-- Make the clean-up of requests that are being aborted due; return those that have one to do.
WITH due AS (
    UPDATE request_steps s
    SET next_run_at = clock_timestamp()
    FROM service_requests r
    WHERE r.id = ANY (%(ids)s) AND r.abort_tickets IS NOT NULL AND r.status = 'in_progress'
      AND s.request_id = r.id AND s.section = 'cleanup' AND s.status = 'pending'
      AND s.next_run_at IS NULL
    RETURNING s.request_id
), opened AS (
    UPDATE service_requests r SET open_steps = due.count
    FROM (SELECT request_id, count(*)::int AS count FROM due GROUP BY request_id) AS due
    WHERE r.id = due.request_id
    RETURNING r.id
)
SELECT id FROM opened;

-- name: forget_destroyed
-- What a clean-up destroyed is not there any more.
UPDATE request_steps s SET resources = '[]'
FROM request_steps gone
WHERE gone.request_id = ANY (%(ids)s) AND gone.section = 'cleanup' AND gone.status = 'completed'
  AND s.request_id = gone.request_id AND gone.step_id = %(prefix)s || s.step_id;

-- name: end_aborted
-- Abort requests whose clean-up has ended; return all that are being aborted.
SELECT id, update_request_status(id, 'aborted')::text AS moved
FROM (
    SELECT id FROM service_requests
    WHERE id = ANY (%(ids)s) AND abort_tickets IS NOT NULL AND status = 'in_progress' AND open_steps = 0
    ORDER BY id
) AS ending;

-- name: ask_for_tickets
-- Ask for the tickets of aborted requests: to clean up what stands, if anything may, and to complete.
WITH wanted AS (
    SELECT r.id, ticket.key AS type, ticket.value AS system
    FROM service_requests r CROSS JOIN LATERAL jsonb_each_text(r.abort_tickets) AS ticket
    WHERE r.id = ANY (%(ids)s) AND ticket.value IS NOT NULL AND (ticket.key <> 'cleanup' OR EXISTS (
        SELECT FROM request_steps s
        WHERE s.request_id = r.id AND (
            s.section = 'cleanup' AND s.status <> 'completed'
            OR s.section = 'automation' AND s.attempt_count > 0
                AND s.step_type NOT IN ('TerraformFile', 'approval'))))
), asked AS (
    INSERT INTO outbox (kind, payload, request_id, key)
    SELECT 'ticket', jsonb_build_object('type', type, 'system', system), id,
           left(encode(sha256(convert_to(id || ':ticket:' || type || ':1', 'UTF8')), 'hex'), 40)
    FROM wanted ORDER BY id, type
    ON CONFLICT (key) DO NOTHING
    RETURNING request_id, payload
)
INSERT INTO events (request_id, kind, data) SELECT request_id, 'ticket.requested', payload FROM asked;
