-- name: claim_items
-- Take a lease on up to `limit` due items; a request's clean-up waits until its steps have ended.
WITH due AS (
    SELECT o.id FROM outbox o
    WHERE o.done_at IS NULL AND NOT o.cancelled AND o.due <= clock_timestamp()
      AND (o.lease_owner IS NULL OR o.lease_expires_at < clock_timestamp())
      AND (%(request_id)s::uuid IS NULL OR o.request_id = %(request_id)s)
      AND NOT (o.payload->>'type' IN ('cleanup', 'completion') AND o.step_id IS NULL AND EXISTS (
          SELECT FROM service_requests r WHERE r.id = o.request_id AND r.open_steps > 0))
    ORDER BY o.due
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox o
SET lease_owner = %(owner)s, lease_token = o.lease_token + 1, attempts = o.attempts + 1,
    lease_expires_at = clock_timestamp() + %(lease)s::interval
FROM due WHERE o.id = due.id
RETURNING o.id, o.kind, o.payload, o.request_id, o.step_id, o.attempts, o.lease_token AS token, o.key;

-- name: finish_item
-- An item is done, if it is still ours.
UPDATE outbox
SET done_at = clock_timestamp(), lease_owner = NULL, lease_expires_at = NULL, last_error = NULL
WHERE id = %(id)s AND lease_token = %(token)s AND done_at IS NULL AND NOT cancelled
RETURNING id;

-- name: postpone_item
-- An item is tried again later, if it is still ours; returns when.
UPDATE outbox
SET due = clock_timestamp() + make_interval(secs => %(delay)s::double precision),
    lease_owner = NULL, lease_expires_at = NULL, last_error = %(error)s
WHERE id = %(id)s AND lease_token = %(token)s AND done_at IS NULL
RETURNING due;

-- name: remember_item
-- Merge into what an item's next try must know and renew its lease, if it is still ours.
UPDATE outbox
SET payload = payload || jsonb_build_object(
        'external', coalesce(payload->'external', '{}') || %(external)s::jsonb),
    lease_expires_at = clock_timestamp() + %(lease)s::interval
WHERE id = %(id)s AND lease_token = %(token)s AND lease_owner IS NOT NULL
  AND done_at IS NULL AND NOT cancelled
RETURNING payload->'external';

-- name: release_items
-- Give back what a worker holds and has not done, due as before.
UPDATE outbox SET lease_owner = NULL, lease_expires_at = NULL, attempts = greatest(attempts - 1, 0)
WHERE done_at IS NULL AND lease_owner = %(owner)s;

-- name: cancel_items
-- Give up what was still to be done for a request, or for one of its steps.
UPDATE outbox SET cancelled = TRUE, done_at = clock_timestamp(), lease_owner = NULL, lease_expires_at = NULL
WHERE request_id = %(request_id)s AND done_at IS NULL
  AND (%(step_id)s::uuid IS NULL OR step_id = %(step_id)s)
RETURNING id;

-- name: insert_ticket
-- Keep a ticket that was made; the same key once.
INSERT INTO manual_tickets (
    request_id, step_id, ticket_system, ticket_id, ticket_url, ticket_type, status, summary,
    idempotency_key, next_poll_at, external_status, external, resolved_at)
VALUES (
    %(request_id)s, %(step_id)s, %(system)s, %(ticket_id)s, %(url)s, %(type)s, %(status)s::text,
    %(summary)s, %(key)s, clock_timestamp() + make_interval(secs => %(delay)s::double precision),
    %(external_status)s, %(external)s,
    CASE WHEN %(status)s::text IN ('resolved', 'closed') THEN clock_timestamp() END)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING id;

-- name: claim_tickets
-- Tickets whose outside status is to be asked for, with their next time set already: within an hour of a
-- webhook the pauses do not grow beyond half a minute.
WITH due AS (
    SELECT id FROM manual_tickets
    WHERE next_poll_at <= clock_timestamp()
      AND (%(request_id)s::uuid IS NULL OR request_id = %(request_id)s)
    ORDER BY next_poll_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE manual_tickets t
SET poll_count = t.poll_count + 1,
    next_poll_at = clock_timestamp() + make_interval(secs =>
        least(%(first)s * power(1.5, least(t.poll_count + 1, 40)), %(longest)s,
              CASE WHEN t.nudged_at > clock_timestamp() - INTERVAL '1 hour' THEN 30 END))
FROM due WHERE t.id = due.id
RETURNING t.id, t.request_id, t.step_id, t.ticket_system AS system, t.ticket_id, t.ticket_url AS url,
          t.status, t.external_status, t.external, coalesce(t.ticket_type, 'fulfillment') AS type;

-- name: update_ticket
-- Keep a ticket's status; a ticket that is done is asked for no more.
UPDATE manual_tickets
SET status = %(status)s::text, external_status = %(external_status)s, updated_at = clock_timestamp(),
    ticket_url = coalesce(%(url)s, ticket_url),
    resolved_at = CASE WHEN %(status)s::text IN ('resolved', 'closed')
        THEN coalesce(resolved_at, clock_timestamp()) END,
    next_poll_at = CASE WHEN %(status)s::text NOT IN ('resolved', 'closed') THEN next_poll_at END
WHERE id = %(id)s AND status NOT IN ('resolved', 'closed')
RETURNING id;

-- name: open_tickets
-- The tickets of a request, or of one of its steps, that are not done.
SELECT t.id, t.request_id, t.step_id, t.ticket_system AS system, t.ticket_id, t.ticket_url AS url,
       t.status, t.external_status, t.external, coalesce(t.ticket_type, 'fulfillment') AS type
FROM manual_tickets t
WHERE t.request_id = %(request_id)s AND t.status NOT IN ('resolved', 'closed')
  AND (NOT %(of_step)s OR t.step_id IS NOT DISTINCT FROM %(step_id)s::uuid);

-- name: ticket_by_id
-- One ticket.
SELECT t.id, t.request_id, t.step_id, t.ticket_system AS system, t.ticket_id, t.ticket_url AS url,
       t.status, t.external_status, t.external, coalesce(t.ticket_type, 'fulfillment') AS type
FROM manual_tickets t WHERE t.id = %(id)s;

-- name: failed_attempts
-- Every attempt of a step that failed, for the ticket's text.
SELECT a.attempt_number, a.error_type, a.error_message, a.error_details, a.parameters, a.external_job_url
FROM step_attempts a WHERE a.step_id = %(step_id)s AND a.status = 'failed'
ORDER BY a.attempt_number;

-- name: existing_resources
-- What a request made so far and has not destroyed again, for a clean-up ticket.
SELECT s.step_name, s.step_type, s.status, s.resources, a.external_job_url
FROM request_steps s
LEFT JOIN LATERAL (
    SELECT external_job_url FROM step_attempts WHERE step_id = s.id ORDER BY attempt_number DESC LIMIT 1
) a ON TRUE
WHERE s.request_id = %(request_id)s AND s.section <> 'cleanup' AND NOT EXISTS (
    SELECT FROM request_steps gone
    WHERE gone.request_id = s.request_id AND gone.section = 'cleanup' AND gone.status = 'completed'
      AND gone.step_id = 'destroy:' || s.step_id)
ORDER BY s.position;

-- name: creation_resources
-- What the create of a request's target made that no Terraform destroy takes down, for a clean-up ticket.
SELECT s.step_name, s.step_type, s.status, s.resources, a.external_job_url
FROM service_requests r
JOIN service_instances target ON target.id = r.target_instance_id
LEFT JOIN bundle_instance_members own ON own.member_instance_id = target.id
JOIN request_steps s ON s.request_id = target.creation_request_id AND s.section = 'automation'
    AND (own.id IS NULL OR s.component = own.component_name)
LEFT JOIN LATERAL (
    SELECT external_job_url FROM step_attempts WHERE step_id = s.id ORDER BY attempt_number DESC LIMIT 1
) a ON TRUE
WHERE r.id = %(request_id)s AND s.attempt_count > 0 AND s.step_type <> 'TerraformFile'
ORDER BY s.position;

-- name: ask_for_manual_work
-- Put the ticket of a manual step into the outbox, once by its key; return the ticket's system.
WITH step AS (
    SELECT s.id, r.id AS request_id,
           coalesce(r.plan->'components'->s.component->'fulfillment', r.plan->'fulfillment')
               ->'manual'->>'system' AS system
    FROM service_requests r JOIN request_steps s ON s.request_id = r.id
    WHERE r.request_id = %(request_id)s AND s.step_id = %(step_id)s
), asked AS (
    INSERT INTO outbox (kind, payload, request_id, step_id, key)
    SELECT 'ticket', jsonb_build_object('type', %(purpose)s::text, 'system', system), request_id, id,
           %(key)s
    FROM step WHERE system IS NOT NULL
    ON CONFLICT (key) DO NOTHING
    RETURNING request_id, step_id, payload
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, step_id, 'ticket.requested', payload FROM asked
)
SELECT system FROM step
WHERE pg_notify('pao_steps', '') IS NOT NULL AND pg_notify('pao_events', '') IS NOT NULL;

-- name: is_resolved
-- Whether the ticket of a key is done.
SELECT EXISTS (
    SELECT FROM manual_tickets
    WHERE idempotency_key = %(key)s AND status IN ('resolved', 'closed'));
