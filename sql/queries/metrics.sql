-- name: request_counts
-- How many requests there are, by type and status.
SELECT request_type AS type, status, count(*) AS number FROM service_requests GROUP BY 1, 2;

-- name: queues
-- How much is due, waits and runs, and how late the first of it is.
SELECT steps.due AS steps_due, steps.waiting AS steps_waiting, leased.number AS steps_running,
       steps.oldest AS oldest_due, items.number AS outbox, items.lag AS outbox_lag,
       (SELECT count(*) FROM manual_tickets WHERE status IN ('open', 'in_progress')) AS tickets_open,
       (SELECT count(*) FROM approvals WHERE status = 'waiting') AS approvals_waiting,
       (SELECT count(*) FROM parked_events) AS parked_events
FROM (
    SELECT count(*) FILTER (WHERE next_run_at <= clock_timestamp()) AS due,
           count(*) FILTER (WHERE next_run_at > clock_timestamp()) AS waiting,
           greatest(coalesce(extract(epoch FROM clock_timestamp() - min(next_run_at)), 0), 0)::float8 AS oldest
    FROM request_steps
    WHERE waiting_on = 0 AND lease_owner IS NULL AND next_run_at IS NOT NULL
) steps, (
    SELECT count(*) AS number FROM request_steps WHERE lease_owner IS NOT NULL
) leased, (
    SELECT count(*) AS number,
           greatest(coalesce(extract(epoch FROM clock_timestamp() - min(due)), 0), 0)::float8 AS lag
    FROM outbox WHERE done_at IS NULL
) items;

-- name: last_sync
-- The sync that ended last.
SELECT status, duration_ms::float8 / 1000 AS duration, jsonb_array_length(errors) AS errors,
       extract(epoch FROM clock_timestamp() - sync_completed_at)::float8 AS age
FROM catalog_sync_status
WHERE sync_completed_at IS NOT NULL
ORDER BY sync_completed_at DESC
LIMIT 1;
