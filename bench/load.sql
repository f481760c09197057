-- name: add_item
-- The one catalog item of the benchmark.
INSERT INTO catalog_items (name, version, owner, presentation, fulfillment, source_file_hash)
VALUES ('bench', '1.0.0', 'platform', %(presentation)s, '{}', 'bench')
ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version
RETURNING id;

-- name: add_requests
-- Requests in progress with no-op steps that are not due: chains, or (wide) one first step, many beside each other, one last.
WITH made AS (
    INSERT INTO service_requests (request_id, request_type, catalog_item_id, catalog_version, status,
        parameters, requester_user_id, requester_team, title, plan, open_steps)
    SELECT 'req-' || gen_random_uuid(), 'create', %(item)s, '1.0.0', 'in_progress', '{"size": "small"}',
           'U1', 'payments', 'bench', %(plan)s, %(steps)s
    FROM generate_series(1, %(requests)s)
    RETURNING id
), steps AS (
    INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, position,
        depends_on, waiting_on)
    SELECT made.id, 's' || n, 's' || n, %(type)s::text,
           jsonb_build_object('name', 's' || n, 'type', %(type)s::text, 'template', '{}'::jsonb), n,
           needs.names, cardinality(needs.names)
    FROM made
    CROSS JOIN generate_series(1, %(steps)s) n
    CROSS JOIN LATERAL (SELECT CASE
        WHEN n = 1 THEN '{}'::text[]
        WHEN NOT %(wide)s THEN ARRAY['s' || n - 1]
        WHEN n < %(steps)s THEN ARRAY['s1']
        ELSE ARRAY(SELECT 's' || m FROM generate_series(2, %(steps)s - 1) m)
    END AS names) needs
)
SELECT id FROM made;

-- name: make_due
-- Let the steps of these requests begin, and say so.
WITH due AS (
    UPDATE request_steps SET next_run_at = clock_timestamp() WHERE request_id = ANY (%(ids)s)
)
SELECT pg_notify('pao_steps', '');

-- name: is_any_open
-- Whether any request that is to be carried is still in progress.
SELECT EXISTS (SELECT FROM service_requests WHERE status = 'in_progress' AND title = 'bench');

-- name: add_finished
-- Requests of five steps that ended long ago, with their attempts.
WITH made AS (
    INSERT INTO service_requests (request_id, request_type, catalog_item_id, catalog_version, status,
        parameters, requester_user_id, requester_team, title, plan, created_at, completed_at)
    SELECT 'req-old-' || gen_random_uuid(), 'create', %(item)s, '1.0.0', 'completed', '{"size": "small"}',
           'U' || n %% 500, 'team-' || n %% 50, 'old', '{}', now() - n * interval '1 minute', now()
    FROM generate_series(1, %(requests)s) n
    RETURNING id
), steps AS (
    INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, status, position,
        depends_on, attempt_count, outputs, completed_at)
    SELECT made.id, 's' || n, 's' || n, 'Noop', '{}', 'completed', n, '{}', 1, '{}', now()
    FROM made CROSS JOIN generate_series(1, 5) n
    RETURNING id
)
INSERT INTO step_attempts (step_id, attempt_number, status, completed_at)
SELECT id, 1, 'completed', now() FROM steps;

-- name: add_waiting
-- Requests of five steps each of which waits for an outside system, tomorrow.
WITH made AS (
    INSERT INTO service_requests (request_id, request_type, catalog_item_id, catalog_version, status,
        parameters, requester_user_id, requester_team, title, plan, open_steps, created_at)
    SELECT 'req-new-' || gen_random_uuid(), 'create', %(item)s, '1.0.0', 'in_progress', '{}',
           'U' || n %% 500, 'team-' || n %% 50, 'waiting', '{}', 5, now()
    FROM generate_series(1, %(requests)s) n
    RETURNING id
)
INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, status, position,
    depends_on, attempt_count, phase, next_run_at)
SELECT made.id, 's' || n, 's' || n, 'Noop', '{}', 'running', n, '{}', 1, 'poll', now() + interval '1 day'
FROM made CROSS JOIN generate_series(1, 5) n;
