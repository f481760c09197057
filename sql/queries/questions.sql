-- name: keep_question
-- Remember a message that asks for an approval of a request, by the request's external id.
INSERT INTO approval_questions (channel, ts, request_id, step_id, markup, is_direct)
SELECT %(channel)s, %(ts)s, r.id, %(step)s, %(markup)s, %(is_direct)s
FROM service_requests r
WHERE r.request_id = %(request_id)s
ON CONFLICT (channel, ts) DO NOTHING;

-- name: questions_of
-- The messages that ask for approvals of a request, the oldest first.
SELECT q.channel, q.ts, q.step_id AS step, q.markup, q.is_direct
FROM approval_questions q
JOIN service_requests r ON r.id = q.request_id
WHERE r.request_id = %(request_id)s
ORDER BY q.ts;

-- name: forget_question
-- The buttons of a message are gone.
DELETE FROM approval_questions WHERE channel = %(channel)s AND ts = %(ts)s;
