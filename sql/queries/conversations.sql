-- name: find_conversation
-- Where a request is told of, by its external id.
SELECT c.channel, c.thread_ts, c.card_ts, c.card_hash, c.told_events
FROM conversations c
JOIN service_requests r ON r.id = c.request_id
WHERE r.request_id = %(request_id)s;

-- name: keep_conversation
-- Remember where a request is told of, and what its card shows; returns the request's id if it exists.
INSERT INTO conversations (request_id, channel, thread_ts, card_ts, card_hash)
SELECT r.id, %(channel)s, %(thread_ts)s, %(card_ts)s, %(card_hash)s
FROM service_requests r
WHERE r.request_id = %(request_id)s
ON CONFLICT (request_id) DO UPDATE
SET channel = EXCLUDED.channel,
    thread_ts = EXCLUDED.thread_ts,
    card_ts = EXCLUDED.card_ts,
    card_hash = EXCLUDED.card_hash,
    updated_at = clock_timestamp()
RETURNING request_id::text;

-- name: keep_untold
-- Remember that an event has still to be told, unless it was told or is remembered already.
INSERT INTO untold_events (event_id)
SELECT e.id
FROM events e
LEFT JOIN conversations c ON c.request_id = e.request_id
WHERE e.id = %(event_id)s AND NOT coalesce(e.id = ANY (c.told_events), FALSE)
ON CONFLICT (event_id) DO NOTHING;

-- name: untold_events
-- What has still to be told of one request (of none: of the catalog), in order, with external ids.
SELECT e.id, e.kind, e.at, e.data, r.request_id, s.step_id, si.instance_id
FROM untold_events u
JOIN events e ON e.id = u.event_id
LEFT JOIN service_requests r ON r.id = e.request_id
LEFT JOIN request_steps s ON s.id = e.step_id
LEFT JOIN service_instances si ON si.id = e.instance_id
WHERE r.request_id IS NOT DISTINCT FROM %(request_id)s
ORDER BY u.position;

-- name: untold_requests
-- The requests (NULL: the catalog) of which something has still to be told, the longest waiting first.
SELECT r.request_id
FROM untold_events u
JOIN events e ON e.id = u.event_id
LEFT JOIN service_requests r ON r.id = e.request_id
GROUP BY r.request_id
ORDER BY min(u.position);

-- name: reached
-- Who was written to about an event that is untold.
SELECT unnest(reached) FROM untold_events WHERE event_id = %(event_id)s;

-- name: note_reached
-- Somebody was written to about an event that is untold.
UPDATE untold_events SET reached = array_append(reached, %(user_id)s::text)
WHERE event_id = %(event_id)s AND %(user_id)s::text <> ALL (reached);

-- name: told_event
-- An event was told: its thread remembers the last hundred, and nobody has to tell it again.
WITH told AS (
    DELETE FROM untold_events WHERE event_id = %(event_id)s
)
UPDATE conversations c
SET told_events = (c.told_events || e.id)[greatest(1, cardinality(c.told_events) - 98):]
FROM events e
WHERE e.id = %(event_id)s AND c.request_id = e.request_id;

-- name: park_untold
-- Put an event aside that cannot be told, where it can be seen.
WITH gone AS (
    DELETE FROM untold_events WHERE event_id = %(event_id)s
)
INSERT INTO parked_events (consumer, event_id, error)
SELECT name, %(event_id)s, %(error)s FROM consumers WHERE name = %(consumer)s
ON CONFLICT (consumer, event_id) DO UPDATE
SET error = EXCLUDED.error, at = clock_timestamp(), retry_wanted = FALSE;

-- name: conversations_behind
-- Requests whose card (NULL: in any channel) may show less than is known: those changed since, then
-- those under way; of each the one first that was looked at longest ago.
SELECT r.request_id
FROM conversations c
JOIN service_requests r ON r.id = c.request_id
WHERE (c.channel = %(channel)s OR %(channel)s::text IS NULL)
  AND (r.updated_at >= c.updated_at
       OR r.status IN ('submitted', 'validating', 'in_progress', 'resuming'))
ORDER BY r.updated_at >= c.updated_at DESC, c.updated_at
LIMIT %(limit)s;
