-- name: insert_events
-- Write events: [{kind, request_id, step_id, instance_id, data}], and wake who reads them.
WITH inserted AS (
    INSERT INTO events (request_id, step_id, instance_id, kind, data)
    SELECT request_id, step_id, instance_id, kind, coalesce(data, '{}')
    FROM jsonb_to_recordset(%(events)s) AS event(
        request_id UUID, step_id UUID, instance_id UUID, kind TEXT, data JSONB)
)
SELECT pg_notify('pao_events', '');

-- name: add_consumer
-- Begin to read at the first event that may still come.
INSERT INTO consumers (name, window_from, window_to, last_event_id)
VALUES (%(name)s, pg_snapshot_xmin(pg_current_snapshot()), pg_snapshot_xmin(pg_current_snapshot()), 0)
ON CONFLICT (name) DO NOTHING;

-- name: lead_consumer
-- Whether this session reads for the consumer: one at a time.
SELECT pg_try_advisory_lock(7303, hashtext(%(name)s));

-- name: advance_window
-- Open the next window of finished transactions when the present one is read to its end.
UPDATE consumers
SET window_from = window_to, window_to = pg_snapshot_xmin(pg_current_snapshot()),
    last_event_id = 0, updated_at = clock_timestamp()
WHERE name = %(name)s AND window_to < pg_snapshot_xmin(pg_current_snapshot());

-- name: next_events
-- The next events of the window, in order, with external ids.
SELECT e.id, e.kind, e.at, e.data, r.request_id, s.step_id, si.instance_id
FROM consumers c
JOIN events e ON e.transaction_id >= c.window_from AND e.transaction_id < c.window_to
    AND e.id > c.last_event_id
LEFT JOIN service_requests r ON r.id = e.request_id
LEFT JOIN request_steps s ON s.id = e.step_id
LEFT JOIN service_instances si ON si.id = e.instance_id
WHERE c.name = %(name)s
ORDER BY e.id
LIMIT %(limit)s;

-- name: move_cursor
-- Say that everything up to an event was handled.
UPDATE consumers SET last_event_id = %(event_id)s, updated_at = clock_timestamp()
WHERE name = %(name)s AND last_event_id < %(event_id)s;

-- name: park_event
-- Put an event aside that the consumer cannot handle, or cannot again.
INSERT INTO parked_events (consumer, event_id, error) VALUES (%(name)s, %(event_id)s, %(error)s)
ON CONFLICT (consumer, event_id) DO UPDATE
SET error = EXCLUDED.error, at = clock_timestamp(), retry_wanted = FALSE;

-- name: wanted_again
-- The events put aside that the consumer is to take once more, in order, with external ids.
SELECT e.id, e.kind, e.at, e.data, r.request_id, s.step_id, si.instance_id
FROM parked_events p
JOIN events e ON e.id = p.event_id
LEFT JOIN service_requests r ON r.id = e.request_id
LEFT JOIN request_steps s ON s.id = e.step_id
LEFT JOIN service_instances si ON si.id = e.instance_id
WHERE p.consumer = %(name)s AND p.retry_wanted
ORDER BY e.id
LIMIT %(limit)s;

-- name: unpark_event
-- An event that was handled at last is put aside no longer.
DELETE FROM parked_events WHERE consumer = %(name)s AND event_id = %(event_id)s;

-- name: parked_events
-- What consumers could not handle, the oldest first.
SELECT p.event_id, p.consumer, e.kind, r.request_id, si.instance_id, p.error, p.at AS parked_at, p.retry_wanted
FROM parked_events p
JOIN events e ON e.id = p.event_id
LEFT JOIN service_requests r ON r.id = e.request_id
LEFT JOIN service_instances si ON si.id = e.instance_id
ORDER BY p.event_id, p.consumer
LIMIT %(limit)s;

-- name: retry_parked
-- Have consumers take events once more, or all (NULL) that are put aside; return which.
WITH wanted AS (
    UPDATE parked_events SET retry_wanted = TRUE
    WHERE %(ids)s::bigint[] IS NULL OR event_id = ANY (%(ids)s::bigint[])
    RETURNING event_id
)
SELECT DISTINCT event_id FROM wanted WHERE pg_notify('pao_events', '') IS NOT NULL ORDER BY 1;

-- name: discard_parked
-- Give up events, or all (NULL) that are put aside; return which.
WITH gone AS (
    DELETE FROM parked_events
    WHERE %(ids)s::bigint[] IS NULL OR event_id = ANY (%(ids)s::bigint[])
    RETURNING event_id
)
SELECT DISTINCT event_id FROM gone ORDER BY 1;

-- name: catalog_changes
-- What the last syncs changed of what somebody of these teams may see, newest first; what was removed
-- is left to those who see all.
WITH syncs AS MATERIALIZED (
    SELECT id, at, data FROM events WHERE kind = 'catalog.synced' ORDER BY id DESC LIMIT 20
)
SELECT coalesce(entry.display_name, made.name) AS title, made.kind, made.name, made.change,
       made.from_version, made.to_version, syncs.at
FROM syncs
CROSS JOIN LATERAL ROWS FROM (
    jsonb_to_recordset(syncs.data -> 'changes')
        AS (kind TEXT, name TEXT, change TEXT, from_version TEXT, to_version TEXT)
) WITH ORDINALITY AS made(kind, name, change, from_version, to_version, place)
LEFT JOIN catalog_entries entry ON entry.kind = made.kind AND entry.name = made.name
WHERE %(sees_all)s::boolean
   OR entry.is_active
      AND (entry.access IS NULL
           OR catalog_entry_is_open(entry.access, entry.owner, %(teams)s::text[]))
ORDER BY syncs.id DESC, made.place
LIMIT %(limit)s;
