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

-- name: add_listed
-- Requests that ended, without their steps: what lists page through.
INSERT INTO service_requests (request_id, request_type, catalog_item_id, catalog_version, status,
    parameters, requester_user_id, requester_team, title, plan, created_at, completed_at)
SELECT 'req-' || gen_random_uuid(), 'create', %(item)s, '1.0.0', 'completed', '{"size": "small"}',
       'U' || n %% 500, 'team-' || n %% 50, 'listed', '{}', now() - n * interval '1 minute', now()
FROM generate_series(%(from)s::int, %(from)s::int + %(requests)s - 1) n;

-- name: add_fleet_items
-- Fifty items, and fifty operations, each for five of them in some versions.
WITH items AS (
    INSERT INTO catalog_items (name, version, owner, presentation, fulfillment, source_file_hash)
    SELECT 'fleet-' || n, '2.0.0', 'platform', '{"fields": []}', '{}', 'bench'
    FROM generate_series(0, 49) n
), targets AS (
    SELECT n, jsonb_build_object('catalog_items', jsonb_agg(jsonb_build_object(
        'name', 'fleet-' || (n + m) %% 50, 'version_range', '>=1.' || n %% 7 || '.0, <2.0.0'))) AS targets
    FROM generate_series(0, 49) n CROSS JOIN generate_series(0, 4) m GROUP BY n
), updates AS (
    INSERT INTO update_items (name, version, owner, targets, presentation, fulfillment)
    SELECT 'update-' || n, '1.0.0', 'platform', targets, '{"fields": []}', '{}' FROM targets WHERE n %% 2 = 0
)
INSERT INTO upgrade_items (name, version, owner, targets, presentation, fulfillment)
SELECT 'upgrade-' || n, '2.1.0', 'platform', targets, '{"fields": []}', '{}' FROM targets WHERE n %% 2 = 1;

-- name: add_fleet
-- Active instances of the fifty items, in twenty versions.
INSERT INTO service_instances (instance_id, catalog_item_id, catalog_version, instance_name, instance_state,
    owner_user_id, owner_team, deployment_parameters)
SELECT 'srv-' || gen_random_uuid(), item.id, '1.' || n %% 10 || '.' || n %% 2, 'service ' || n, 'active',
       'U' || n %% 500, 'team-' || n %% 50, '{}'
FROM generate_series(1, %(instances)s) n
JOIN catalog_items item ON item.name = 'fleet-' || n %% 50;

-- name: evaluate_all
-- Every pair of a living instance and an operation for it, judged by one statement.
SELECT count(*) FROM evaluate_instances(NULL);

-- name: evaluate_one_by_one
-- The same for a few instances, by a call of the function for each.
SELECT sum((SELECT count(*) FROM get_eligible_operations(few.id)))
FROM (SELECT id FROM service_instances ORDER BY instance_id LIMIT %(instances)s) AS few;

-- name: refresh_all
-- Bring the cache up to date for all that lives.
SELECT count(*) FROM refresh_eligible_operations(NULL);

-- name: refresh_item
-- Bring it up to date for the instances of one item, as after a sync that touched it.
SELECT count(*) FROM refresh_operations(NULL, ARRAY(
    SELECT id FROM catalog_items WHERE name = %(item)s));
