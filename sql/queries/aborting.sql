-- name: may_have_left
-- Whether anything may stand of what a request did: Terraform says what it never touched, a look or an
-- approval leaves nothing, and an open ticket that is followed says that nobody has begun with it.
SELECT EXISTS (
    SELECT FROM request_steps s
    WHERE s.request_id = %(id)s AND s.attempt_count > 0 AND s.step_type NOT IN ('HttpGet', 'approval')
      AND (s.status = 'completed' OR s.step_type <> 'TerraformFile'
           OR s.external ? 'workspace' AND s.external->'untouched' IS DISTINCT FROM 'true')
) OR EXISTS (
    SELECT FROM manual_tickets t
    WHERE t.request_id = %(id)s AND (t.status IN ('in_progress', 'resolved')
          OR t.status = 'open' AND (t.step_id IS NULL OR t.next_poll_at IS NULL))
) AS may_have_left;

-- name: note_abort
-- The request is aborted as soon as its clean-up has ended, whatever came of it.
UPDATE service_requests SET abort_tickets = %(tickets)s, reason = %(reason)s, timeout_at = NULL
WHERE id = %(id)s;

-- name: hold_made
-- Take the instances that a request made, members of a bundle among them.
SELECT id FROM service_instances WHERE creation_request_id = %(id)s ORDER BY id FOR NO KEY UPDATE;

-- name: needed_outside
-- Who needs what a request made for these components, or is at work on it, in words; to be asked once it is held.
SELECT dependent.instance_name || ' (' || dependent.instance_id || ') needs ' || made.instance_name
FROM service_instances made
JOIN bundle_instance_members m ON m.member_instance_id = made.id AND m.component_name = ANY (%(components)s)
JOIN service_instance_dependencies d ON d.provider_instance_id = made.id AND d.is_required
JOIN service_instances dependent ON dependent.id = d.dependent_instance_id
WHERE made.creation_request_id = %(id)s AND dependent.creation_request_id IS DISTINCT FROM %(id)s
  AND dependent.instance_state <> 'decommissioned'
UNION
SELECT 'request ' || r.request_id || ' is under way on ' || made.instance_name
FROM service_instances made
JOIN bundle_instance_members m ON m.member_instance_id = made.id AND m.component_name = ANY (%(components)s)
JOIN service_requests r ON r.subject_instance_id = made.id
    AND r.status IN ('submitted', 'validating', 'in_progress', 'resuming')
WHERE made.creation_request_id = %(id)s
ORDER BY 1;

-- name: take_members
-- Members that are done already and are destroyed now are on their way out: nothing new builds on them.
SELECT set_instance_states(jsonb_object_agg(made.id, 'decommissioning'), %(id)s)
FROM service_instances made
JOIN bundle_instance_members m ON m.member_instance_id = made.id AND m.component_name = ANY (%(components)s)
WHERE made.creation_request_id = %(id)s AND made.instance_state IN ('active', 'degraded')
HAVING count(*) > 0;

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

-- name: forget_resources
-- Nor is it among what its members have.
UPDATE service_instances made SET deployed_resources = resources_of_instance(made.id)
FROM bundle_instance_members m
WHERE made.creation_request_id = ANY (%(ids)s) AND m.member_instance_id = made.id
  AND made.deployed_resources IS NOT NULL;

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
