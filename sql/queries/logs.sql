-- name: moment
-- Seconds since 1970, by the one clock that counts.
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: attempts_of_step
-- The attempts of a step, named by its id or its name.
SELECT a.id, a.attempt_number
FROM step_attempts a JOIN request_steps s ON s.id = a.step_id
WHERE s.request_id = %(request_id)s AND %(step)s IN (s.step_id, s.step_name)
ORDER BY a.attempt_number;

-- name: attempt_by_id
-- One attempt with its step and request.
SELECT r.request_id, coalesce(r.title, '') AS title, s.step_id, s.step_name,
       a.attempt_number, a.status, a.started_at, a.completed_at, a.error_message,
       coalesce((SELECT sum(length(text)) FROM attempt_logs WHERE attempt_id = a.id), 0)::bigint AS length
FROM step_attempts a
JOIN request_steps s ON s.id = a.step_id
JOIN service_requests r ON r.id = s.request_id
WHERE a.id = %(attempt_id)s;

-- name: end_of_log
-- The last chunks of an attempt's log that hold `most` characters together.
SELECT text FROM (
    SELECT chunk, text, sum(length(text)) OVER (ORDER BY chunk DESC) - length(text) AS after
    FROM attempt_logs WHERE attempt_id = %(attempt_id)s
) AS chunks
WHERE after < %(most)s
ORDER BY chunk;
