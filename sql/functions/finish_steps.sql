-- Writes what became of claimed steps, and all that follows for their dependents and requests.
--
-- Takes [{id, token, outcome, ...}]; a field that is missing is NULL. Every outcome is fenced by its
-- lease token: what is not returned was not ours any more, and changed nothing.
-- request_ended: the request has no open step left and is to be ended in the same transaction;
-- may_go_on: a step of it failed, or it is being aborted, so a rollback or a clean-up may come before.
--
-- The requests and the steps are locked first, in one order for everybody (a request, then its steps by
-- position), by a statement of its own: the next one sees what others had committed before.
--
-- Rows are reached by their keys alone, however many others there are, also by a plan that was made
-- while the tables were empty: `IS TRUE` keeps conditions on the status away from its index, and of a
-- limit that is not known beforehand, twice, the planner expects one row instead of a hundred.
CREATE OR REPLACE FUNCTION finish_steps(p_finishes JSONB)
RETURNS TABLE (id UUID, request_id UUID, component TEXT, request_ended BOOLEAN, may_go_on BOOLEAN)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_count INT := jsonb_array_length(p_finishes);
BEGIN
    PERFORM FROM (
        SELECT * FROM (
            SELECT (finish ->> 'id')::uuid AS id FROM jsonb_array_elements(p_finishes) AS finish
            LIMIT v_count) AS input LIMIT v_count) AS input
    JOIN request_steps s ON s.id = input.id
    JOIN service_requests r ON r.id = s.request_id
    ORDER BY r.id, s.position
    FOR NO KEY UPDATE OF r, s;

    RETURN QUERY
    WITH input AS (
        SELECT * FROM (SELECT * FROM jsonb_to_recordset(p_finishes) AS finish(
            id UUID, token BIGINT, outcome TEXT, outputs JSONB, resources JSONB, external JSONB,
            phase TEXT, delay FLOAT8, time_limit FLOAT8, skip_reason TEXT, losses INT, uncounted INT,
            job_id TEXT, job_url TEXT, error_type TEXT, error_message TEXT, error_details JSONB,
            verification JSONB, parameters JSONB, kind TEXT, data JSONB, error_kind TEXT)
            LIMIT v_count) AS finish LIMIT v_count
    ), own AS (
        UPDATE request_steps s
        SET status = CASE input.outcome
                WHEN 'waiting' THEN CASE input.phase WHEN 'verify' THEN 'verifying' ELSE 'running' END
                ELSE input.outcome END,
            lease_owner = NULL,
            lease_expires_at = NULL,
            -- Who was told to cancel meanwhile does not go on to wait.
            phase = CASE
                WHEN input.outcome IN ('waiting', 'retrying') THEN
                    CASE s.phase WHEN 'cancel' THEN 'cancel' ELSE input.phase END
                ELSE s.phase END,
            next_run_at = CASE
                WHEN input.outcome = 'waiting' OR input.outcome = 'retrying' THEN
                    CASE WHEN s.phase = 'cancel' THEN clock_timestamp()
                    ELSE least(
                        clock_timestamp() + make_interval(secs => input.delay),
                        CASE WHEN input.outcome = 'waiting' THEN coalesce(s.attempt_deadline,
                            clock_timestamp() + make_interval(secs => input.time_limit)) END)
                    END
                END,
            attempt_deadline = CASE WHEN input.outcome = 'waiting' THEN coalesce(s.attempt_deadline,
                clock_timestamp() + make_interval(secs => input.time_limit)) END,
            completed_at = CASE WHEN input.outcome IN ('completed', 'failed', 'skipped')
                THEN clock_timestamp() END,
            outputs = CASE WHEN input.outcome IN ('completed', 'skipped')
                THEN coalesce(input.outputs, '{}') ELSE s.outputs END,
            resources = coalesce(input.resources, s.resources),
            external = coalesce(input.external, s.external),
            skip_reason = input.skip_reason,
            losses = s.losses + coalesce(input.losses, 0),
            group_attempts = greatest(s.group_attempts - coalesce(input.uncounted, 0), 0)
        FROM input
        WHERE s.id = input.id AND s.lease_token = input.token AND s.lease_owner IS NOT NULL
        RETURNING s.id, s.request_id, s.step_id, s.section, s.attempt_count, s.next_run_at, s.status,
                  s.skip_reason, s.component, input.outcome
    ), attempts AS (
        UPDATE step_attempts a
        SET status = CASE input.outcome
                WHEN 'waiting' THEN a.status
                WHEN 'completed' THEN 'completed'
                WHEN 'skipped' THEN 'completed'
                ELSE 'failed' END,
            completed_at = CASE WHEN input.outcome <> 'waiting' THEN clock_timestamp() END,
            error_type = input.error_type,
            error_message = input.error_message,
            error_details = input.error_details,
            error_kind = input.error_kind,
            verification_result = coalesce(input.verification, a.verification_result),
            parameters = coalesce(input.parameters, a.parameters),
            external_job_id = coalesce(input.job_id, a.external_job_id),
            external_job_url = coalesce(input.job_url, a.external_job_url)
        FROM input JOIN own ON own.id = input.id
        WHERE a.step_id = own.id AND a.attempt_number = own.attempt_count AND a.status = 'running'
    ), skipped AS (
        UPDATE request_steps s
        SET status = 'skipped', skip_reason = 'dependency', next_run_at = NULL,
            completed_at = clock_timestamp()
        FROM (
            WITH RECURSIVE hit AS (
                SELECT own.request_id, own.step_id FROM own WHERE own.outcome = 'failed'
                UNION
                SELECT s.request_id, s.step_id
                FROM hit JOIN request_steps s
                    ON s.request_id = hit.request_id AND hit.step_id = ANY (s.depends_on)
                WHERE (s.status = 'pending') IS TRUE
                  -- Asked once: where nothing failed, no row is read.
                  AND (SELECT bool_or(outcome = 'failed') FROM own)
            )
            SELECT request_id, step_id FROM hit
        ) AS hit
        WHERE s.request_id = hit.request_id AND s.step_id = hit.step_id AND (s.status = 'pending') IS TRUE
        RETURNING s.id, s.request_id, s.step_id
    ), freed AS (
        UPDATE request_steps s
        SET waiting_on = s.waiting_on - ended.count,
            next_run_at = CASE WHEN s.next_run_at IS NULL THEN NULL
                ELSE greatest(s.next_run_at, clock_timestamp()) END
        FROM (
            SELECT dependent.id, count(*)::int AS count
            FROM own JOIN request_steps dependent
                ON dependent.request_id = own.request_id AND own.step_id = ANY (dependent.depends_on)
            WHERE own.outcome IN ('completed', 'skipped')
            GROUP BY dependent.request_id, dependent.position, dependent.id
            -- Due in this order: what is claimed together is of few requests, each of which is read once.
            ORDER BY dependent.request_id, dependent.position
        ) AS ended
        WHERE s.id = ended.id AND (s.status = 'pending') IS TRUE AND s.id NOT IN (SELECT id FROM skipped)
        RETURNING s.id
    ), counted AS (
        UPDATE service_requests r
        SET open_steps = r.open_steps - change.closed,
            failed_steps = r.failed_steps + change.failed
        FROM (
            SELECT request_id, sum(closed)::int AS closed, sum(failed)::int AS failed
            FROM (
                SELECT request_id, 1 AS closed, (outcome = 'failed')::int AS failed
                FROM own WHERE outcome IN ('completed', 'failed', 'skipped')
                UNION ALL
                SELECT request_id, 1, 0 FROM skipped
            ) AS one
            GROUP BY request_id
        ) AS change
        WHERE r.id = change.request_id
        RETURNING r.id, r.open_steps, r.failed_steps, r.status, r.abort_tickets IS NOT NULL AS is_aborting
    ), told AS (
        INSERT INTO events (request_id, step_id, kind, data)
        SELECT own.request_id, own.id, input.kind, coalesce(input.data, '{}') || CASE input.outcome
            WHEN 'retrying' THEN jsonb_build_object('next_run_at', own.next_run_at) ELSE '{}' END
        FROM own JOIN input ON input.id = own.id
        WHERE input.kind IS NOT NULL
        UNION ALL
        SELECT request_id, id, 'step.skipped', '{"reason": "dependency"}'::jsonb FROM skipped
    )
    SELECT own.id, own.request_id, own.component,
           coalesce(counted.open_steps = 0 AND counted.status = 'in_progress', FALSE),
           coalesce(counted.failed_steps > 0 OR counted.is_aborting, FALSE)
    FROM own LEFT JOIN counted ON counted.id = own.request_id
    CROSS JOIN (SELECT pg_notify('pao_events', '') IS NOT NULL AND CASE
        WHEN EXISTS (SELECT FROM freed) THEN pg_notify('pao_steps', 'steps') IS NOT NULL
        END AS told) AS woken;
END;
$$;
