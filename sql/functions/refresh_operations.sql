-- Brings the cache of eligible operations up to date for instances, for all of some documents, or for
-- all that live (both NULL; give one or the other), in one statement, and returns what became eligible
-- by it. Rows that say the same stay untouched until their time is half over.
--
-- A completed row stays; one of another version of an operation that is offered is superseded; one
-- that is offered no more is ineligible.
CREATE OR REPLACE FUNCTION refresh_operations(p_instance_ids UUID[], p_document_ids UUID[])
RETURNS TABLE (
    instance_id UUID, operation_type VARCHAR, operation_name VARCHAR, operation_version VARCHAR
)
LANGUAGE sql VOLATILE
SET plan_cache_mode = force_custom_plan
AS $$
    WITH judged AS MATERIALIZED (
        SELECT * FROM judge_operations(p_instance_ids, p_document_ids)
    ), cached AS MATERIALIZED (
        SELECT eo.* FROM eligible_operations eo
        WHERE p_document_ids IS NULL
          AND (p_instance_ids IS NULL OR eo.instance_id = ANY (p_instance_ids))
          AND eo.eligibility_status <> 'completed'
        UNION ALL
        SELECT eo.*
        FROM service_instances si JOIN eligible_operations eo ON eo.instance_id = si.id
        WHERE (si.catalog_item_id = ANY (p_document_ids) OR si.catalog_bundle_id = ANY (p_document_ids))
          AND eo.eligibility_status <> 'completed'
    ), written AS (
        INSERT INTO eligible_operations AS eo (
            instance_id, operation_type, operation_name, operation_version, eligibility_status,
            eligibility_reason, evaluated_at, expires_at)
        SELECT j.instance_id, j.operation_type, j.operation_name, j.operation_version, j.status,
            j.reason, clock_timestamp(), clock_timestamp() + INTERVAL '24 hours'
        FROM judged j
        LEFT JOIN cached c ON c.instance_id = j.instance_id AND c.operation_type = j.operation_type
            AND c.operation_name = j.operation_name AND c.operation_version = j.operation_version
        WHERE j.status <> 'completed' AND (c.id IS NULL
            OR c.eligibility_status <> j.status
            OR c.eligibility_reason IS DISTINCT FROM j.reason
            OR c.expires_at < clock_timestamp() + INTERVAL '12 hours')
        ON CONFLICT (instance_id, operation_type, operation_name, operation_version) DO UPDATE
        SET eligibility_status = EXCLUDED.eligibility_status,
            eligibility_reason = EXCLUDED.eligibility_reason,
            evaluated_at = EXCLUDED.evaluated_at,
            expires_at = EXCLUDED.expires_at
        WHERE eo.eligibility_status <> 'completed'
        RETURNING eo.instance_id, eo.operation_type, eo.operation_name, eo.operation_version,
            eo.eligibility_status
    ), left_behind AS (
        SELECT c.id, newer.operation_version
        FROM cached c
        LEFT JOIN judged j ON j.instance_id = c.instance_id AND j.operation_type = c.operation_type
            AND j.operation_name = c.operation_name AND j.operation_version = c.operation_version
        LEFT JOIN judged newer ON newer.instance_id = c.instance_id
            AND newer.operation_type = c.operation_type AND newer.operation_name = c.operation_name
        WHERE j.instance_id IS NULL
    ), closed AS (
        UPDATE eligible_operations eo
        SET eligibility_status = CASE
                WHEN l.operation_version IS NULL THEN 'ineligible' ELSE 'superseded' END,
            eligibility_reason = coalesce('superseded by version ' || l.operation_version,
                'the operation is not offered any more'),
            evaluated_at = clock_timestamp(),
            expires_at = NULL
        FROM left_behind l
        WHERE eo.id = l.id AND eo.expires_at IS NOT NULL
    )
    SELECT w.instance_id, w.operation_type, w.operation_name, w.operation_version
    FROM written w
    LEFT JOIN cached c ON c.instance_id = w.instance_id AND c.operation_type = w.operation_type
        AND c.operation_name = w.operation_name AND c.operation_version = w.operation_version
    WHERE w.eligibility_status = 'eligible' AND c.eligibility_status IS DISTINCT FROM 'eligible'
$$;
