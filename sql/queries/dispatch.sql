-- name: lead_job
-- Whether this process runs a periodic job now: whoever moves its next time forward does.
INSERT INTO leaders (job, next_at, owner, last_run_at)
VALUES (%(job)s, clock_timestamp() + %(every)s::interval, %(owner)s, clock_timestamp())
ON CONFLICT (job) DO UPDATE
SET next_at = EXCLUDED.next_at, owner = EXCLUDED.owner, last_run_at = EXCLUDED.last_run_at
WHERE leaders.next_at <= clock_timestamp()
RETURNING job;

-- name: delete_old_logs
-- Remove a batch of logs of attempts that ended before the retention.
DELETE FROM attempt_logs WHERE (attempt_id, chunk) IN (
    SELECT attempt_id, chunk FROM attempt_logs
    WHERE at < clock_timestamp() - %(age)s::interval LIMIT %(limit)s);

-- name: delete_old_events
-- Remove a batch of events older than the retention, of requests that have ended.
DELETE FROM events WHERE id IN (
    SELECT e.id FROM events e LEFT JOIN service_requests r ON r.id = e.request_id
    WHERE e.at < clock_timestamp() - %(age)s::interval
      AND (r.id IS NULL OR r.status IN ('completed', 'cancelled', 'aborted', 'failed'))
    ORDER BY e.at LIMIT %(limit)s);

-- name: delete_old_items
-- Remove a batch of outbox items that were done before the retention.
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE done_at < clock_timestamp() - %(age)s::interval LIMIT %(limit)s);

-- name: last_tick_age
-- Seconds since a periodic job was last run, in whatever process; NULL where none ever was.
SELECT extract(epoch FROM clock_timestamp() - max(last_run_at))::float8 FROM leaders;

-- name: last_sync_age
-- Seconds since the catalog was last synced well, NULL where it never was.
SELECT extract(epoch FROM clock_timestamp() - max(sync_completed_at))::float8
FROM catalog_sync_status WHERE status = 'completed';
