-- name: await_checks
-- Have a worker run the checks of a request.
UPDATE service_requests
SET gate = 'checks', gate_at = clock_timestamp(), gate_token = gate_token + 1,
    sequence_seconds = %(seconds)s
WHERE id = %(id)s;

-- name: await_opening
-- Have a worker open a request at its time; nothing where that has come already. No timeout of an earlier run
-- goes on meanwhile.
UPDATE service_requests
SET gate = 'opening', gate_at = not_before, gate_token = gate_token + 1,
    sequence_seconds = %(seconds)s, timeout_at = NULL, component_seconds = NULL
WHERE id = %(id)s AND not_before > clock_timestamp();

-- name: clear_gate
-- Nothing stands between a request and its steps any more.
UPDATE service_requests SET gate = NULL, gate_at = NULL WHERE id = %(id)s AND gate IS NOT NULL;

-- name: claim_gates
-- Take requests that are to be checked or opened; one that is not finished comes up again after the lease.
WITH due AS (
    SELECT id FROM service_requests
    WHERE gate IS NOT NULL AND gate_at <= clock_timestamp()
      AND (gate = 'checks' AND status IN ('validating', 'resuming')
           OR gate = 'opening' AND status = 'in_progress')
      AND (%(request_id)s::uuid IS NULL OR id = %(request_id)s)
      AND NOT EXISTS (SELECT FROM switches WHERE name = 'paused' AND is_on)
    ORDER BY gate_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE service_requests r
SET gate_at = clock_timestamp() + %(lease)s::interval, gate_token = r.gate_token + 1
FROM due WHERE r.id = due.id
RETURNING r.id, r.request_id, r.gate, r.gate_token AS token;

-- name: next_gate
-- Seconds until the next request is to be checked or opened; NULL where none is.
SELECT extract(epoch FROM min(gate_at) - clock_timestamp())::float8
FROM service_requests
WHERE gate IS NOT NULL AND (%(request_id)s::uuid IS NULL OR id = %(request_id)s);

-- name: hold_gate
-- Take a request whose gate is still ours, until the transaction ends.
SELECT id FROM service_requests
WHERE id = %(id)s AND gate_token = %(token)s AND gate = %(gate)s
  AND (gate = 'checks' AND status IN ('validating', 'resuming')
       OR gate = 'opening' AND status = 'in_progress')
FOR NO KEY UPDATE;

-- name: gate_facts
-- What checks may know of a request and of its instance as it stands now.
SELECT r.request_id, r.request_type, r.parameters, r.plan, clock_timestamp() AS now, r.not_before,
       r.window_ends_at, r.sequence_seconds, si.instance_id, si.instance_name, si.instance_state,
       si.catalog_version AS instance_version, si.deployment_parameters AS instance_parameters,
       array_remove(ARRAY[ci.name, ci.slug, cb.name, cb.slug], NULL)::text[] AS instance_item
FROM service_requests r
LEFT JOIN service_instances si ON si.id = r.subject_instance_id
LEFT JOIN catalog_items ci ON ci.id = si.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = si.catalog_bundle_id
WHERE r.id = %(id)s;

-- name: nothing_was_done
-- Before a change of which no step ever began fails: its instance goes back to its state from before.
UPDATE service_requests r SET rolled_back = TRUE
WHERE r.id = %(id)s AND r.request_type <> 'create'
  AND NOT EXISTS (SELECT FROM request_steps s WHERE s.request_id = r.id AND s.attempt_count > 0)
  AND NOT EXISTS (SELECT FROM manual_tickets t WHERE t.request_id = r.id);

-- name: forget_checks
-- Forget the last round of checks.
DELETE FROM request_checks WHERE request_id = %(id)s;

-- name: insert_checks
-- Keep a round of checks: [{position, name, passed, reason}].
INSERT INTO request_checks (request_id, position, name, passed, reason)
SELECT %(id)s, position, name, passed, reason
FROM jsonb_to_recordset(%(checks)s) AS one(position INT, name TEXT, passed BOOLEAN, reason TEXT);

-- name: checks_of
-- The last round of checks of a request.
SELECT name, passed, reason, checked_at FROM request_checks
WHERE request_id = %(request_id)s ORDER BY position;

-- name: set_window
-- Keep when a request may run: not before the later of its own time and its window's start; a window that was
-- changed afterwards counts alone.
UPDATE service_requests
SET not_before = CASE WHEN %(is_changed)s THEN %(starts)s::timestamptz
        ELSE greatest(not_before, %(starts)s::timestamptz) END,
    window_ends_at = %(ends)s
WHERE id = %(id)s;

-- name: lock_begun
-- Wait until no other transaction counts the team's instances of the document.
SELECT pg_advisory_xact_lock(7302, hashtext(%(team)s || '/' || %(document_id)s::text));

-- name: count_begun
-- How many other instances of the document the team has, without those whose request waits to begin.
SELECT count(*)
FROM service_instances si LEFT JOIN service_requests r ON r.id = si.creation_request_id
WHERE si.owner_team = %(team)s
  AND (si.catalog_item_id = %(document_id)s OR si.catalog_bundle_id = %(document_id)s)
  AND si.instance_state NOT IN ('decommissioned', 'failed')
  AND r.id IS DISTINCT FROM %(id)s
  AND (r.id IS NULL OR r.gate IS NULL AND r.status NOT IN ('submitted', 'validating'));
