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

-- name: told_event
-- Remember that the thread was told an event; the last hundred are enough.
UPDATE conversations c
SET told_events = (c.told_events || %(event_id)s::bigint)[greatest(1, cardinality(c.told_events) - 98):]
FROM service_requests r
WHERE r.id = c.request_id AND r.request_id = %(request_id)s;

-- name: conversations_behind
-- Requests whose card may show less than is known: those under way, and those changed since.
SELECT r.request_id
FROM conversations c
JOIN service_requests r ON r.id = c.request_id
WHERE r.updated_at >= c.updated_at
   OR r.status IN ('submitted', 'validating', 'in_progress', 'resuming')
ORDER BY r.created_at DESC
LIMIT 1000;
