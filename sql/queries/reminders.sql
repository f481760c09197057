-- name: remind_of_approvals
-- Say again what waits for an approval: after `first` seconds, then twice as long each time, up to `longest`; half
-- way to its expiry where that is sooner. Returns how many were said again.
WITH due AS (
    SELECT a.id FROM approvals a
    WHERE a.status = 'waiting' AND a.reminders < %(most)s
      AND coalesce(a.reminded_at, a.requested_at) + make_interval(secs => least(
              %(first)s * power(2, least(a.reminders, 30)), %(longest)s,
              CASE a.reminders WHEN 0 THEN extract(epoch FROM a.expires_at - a.requested_at) / 2 END
          )::double precision) <= clock_timestamp()
    ORDER BY a.requested_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), reminded AS (
    UPDATE approvals a SET reminders = a.reminders + 1, reminded_at = clock_timestamp()
    FROM due WHERE a.id = due.id
    RETURNING a.request_id, a.step_id, a.approvers, a.reminders, a.expires_at
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT r.request_id, r.step_id, 'approval.reminded', jsonb_build_object(
        'step', s.step_id, 'approvers', r.approvers, 'times', r.reminders, 'expires_at', r.expires_at)
    FROM reminded r LEFT JOIN request_steps s ON s.id = r.step_id
    RETURNING id
)
SELECT count(*), pg_notify('pao_events', '') FROM told HAVING count(*) > 0;

-- name: remind_of_tickets
-- Say again which tickets are open, at the same growing intervals, while somebody can still say that they are done.
WITH due AS (
    SELECT t.id FROM manual_tickets t JOIN service_requests r ON r.id = t.request_id
    WHERE t.status IN ('open', 'in_progress') AND t.reminders < %(most)s
      AND (t.next_poll_at IS NOT NULL OR r.status IN ('in_progress', 'failed', 'resuming'))
      AND coalesce(t.reminded_at, t.created_at) + make_interval(secs => least(
              %(first)s * power(2, least(t.reminders, 30)), %(longest)s)::double precision)
          <= clock_timestamp()
    ORDER BY t.created_at
    LIMIT %(limit)s
    FOR UPDATE OF t SKIP LOCKED
), reminded AS (
    UPDATE manual_tickets t SET reminders = t.reminders + 1, reminded_at = clock_timestamp()
    FROM due WHERE t.id = due.id
    RETURNING t.request_id, t.step_id, t.ticket_id, t.ticket_url, t.ticket_system, t.ticket_type,
              t.summary, t.reminders
), told AS (
    INSERT INTO events (request_id, step_id, kind, data)
    SELECT request_id, step_id, 'ticket.reminded', jsonb_build_object(
        'ticket_id', ticket_id, 'url', ticket_url, 'system', ticket_system, 'type', ticket_type,
        'summary', summary, 'times', reminders)
    FROM reminded
    RETURNING id
)
SELECT count(*), pg_notify('pao_events', '') FROM told HAVING count(*) > 0;

-- name: estimated_runs
-- The updates and upgrades under way that have an estimate and have not said yet that they take longer.
SELECT r.id, r.plan->'targets'->'estimated_duration' AS estimate,
       extract(epoch FROM clock_timestamp() - greatest(begun.at, r.not_before))::float8 AS seconds
FROM service_requests r
CROSS JOIN LATERAL (
    SELECT max(e.at) AS at FROM events e WHERE e.request_id = r.id AND e.kind = 'request.started'
) begun
WHERE r.status = 'in_progress' AND r.request_type IN ('update', 'upgrade') AND NOT r.overrun_told
  AND r.plan->'targets' ? 'estimated_duration' AND begun.at IS NOT NULL;

-- name: tell_overruns
-- Say once of requests that they take longer than their documents expect.
WITH late AS (
    UPDATE service_requests r SET overrun_told = TRUE
    WHERE r.id = ANY (%(ids)s) AND NOT r.overrun_told AND r.status = 'in_progress'
    RETURNING r.id, r.subject_instance_id, r.plan->'targets'->'estimated_duration' AS estimate
), told AS (
    INSERT INTO events (request_id, instance_id, kind, data)
    SELECT id, subject_instance_id, 'request.overrunning', jsonb_build_object('estimated_duration', estimate)
    FROM late
    RETURNING id
)
SELECT count(*), pg_notify('pao_events', '') FROM told HAVING count(*) > 0;

-- name: send_digests
-- Tell owners, each once a day at most, what their services may newly get of what is open to them; an operation that
-- may not be run any more can be new again, but not one that only waits for its instance (judge_operations says so).
-- Returns how many owners were told.
WITH forgotten AS (
    UPDATE eligible_operations SET told_at = NULL
    WHERE eligibility_status <> 'eligible' AND told_at IS NOT NULL
      AND NOT coalesce(eligibility_status = 'ineligible'
          AND (eligibility_reason LIKE 'the instance is %%' OR eligibility_reason LIKE 'request %% is under way'), FALSE)
), fresh AS MATERIALIZED (
    SELECT eo.id, si.owner_user_id, si.instance_id, si.instance_name, eo.operation_type,
           eo.operation_name, eo.operation_version,
           row_number() OVER (PARTITION BY si.owner_user_id
               ORDER BY si.instance_name, si.instance_id, eo.operation_name) AS place
    FROM eligible_operations eo JOIN service_instances si ON si.id = eo.instance_id
    WHERE eo.eligibility_status = 'eligible' AND eo.told_at IS NULL
      AND (eo.expires_at IS NULL OR eo.expires_at > clock_timestamp())
      AND si.instance_state IN ('active', 'degraded')
      AND operation_is_open(eo.operation_type, eo.operation_name,
              ARRAY(SELECT unnest(p.teams) FROM people p WHERE p.user_id = si.owner_user_id
                    UNION SELECT team FROM jsonb_each(%(declared)s) AS declared(team, members)
                    WHERE members ? si.owner_user_id
                    UNION SELECT si.owner_team))
), owners AS (
    INSERT INTO digests AS d (owner_user_id)
    SELECT DISTINCT owner_user_id FROM fresh ORDER BY owner_user_id
    ON CONFLICT (owner_user_id) DO UPDATE SET sent_at = clock_timestamp()
    WHERE d.sent_at <= clock_timestamp() - %(pause)s::interval
    RETURNING owner_user_id
), marked AS (
    UPDATE eligible_operations eo SET told_at = clock_timestamp()
    FROM fresh JOIN owners USING (owner_user_id)
    WHERE eo.id = fresh.id
), told AS (
    INSERT INTO events (kind, data)
    SELECT 'operations.eligible', jsonb_build_object(
        'owner_user_id', owner_user_id,
        'total', count(*),
        'operations', jsonb_agg(jsonb_build_object(
            'instance_id', instance_id, 'instance_name', instance_name,
            'operation_type', operation_type, 'operation_name', operation_name,
            'operation_version', operation_version) ORDER BY place) FILTER (WHERE place <= %(most)s))
    FROM fresh JOIN owners USING (owner_user_id)
    GROUP BY owner_user_id
    RETURNING id
)
SELECT count(*), pg_notify('pao_events', '') FROM told HAVING count(*) > 0;
