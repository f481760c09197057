-- Brings the cache of eligible operations up to date for instances, for all of some documents, or for
-- all that live (both NULL; give one or the other), in one statement, and returns what became eligible
-- by it. Rows that say the same stay untouched until their time is half over.
--
-- What changed for instances that were given is told by one event for all of them, with whose they are.
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
    ), cached AS (
        SELECT eo.* FROM eligible_operations eo
        WHERE p_document_ids IS NULL
          AND (p_instance_ids IS NULL OR eo.instance_id = ANY (p_instance_ids))
          AND eo.eligibility_status <> 'completed'
        UNION ALL
        SELECT eo.*
        FROM service_instances si
        CROSS JOIN LATERAL (
            SELECT * FROM eligible_operations eo
            WHERE eo.instance_id = si.id AND eo.eligibility_status <> 'completed'
            OFFSET 0 -- by the index, so that the cost is that of these instances
        ) AS eo
        WHERE si.catalog_item_id = ANY (p_document_ids) OR si.catalog_bundle_id = ANY (p_document_ids)
    ), difference AS MATERIALIZED (
        SELECT instance_id, operation_type, operation_name, operation_version, j.status, j.reason,
            c.id AS cached_id, c.eligibility_status AS cached_status
        FROM (SELECT * FROM judged WHERE status <> 'completed') AS j
        FULL JOIN cached c USING (instance_id, operation_type, operation_name, operation_version)
        WHERE CASE
            WHEN c.id IS NULL THEN TRUE
            WHEN j.status IS NULL THEN c.expires_at IS NOT NULL
            ELSE c.eligibility_status <> j.status
                OR c.eligibility_reason IS DISTINCT FROM j.reason
                OR c.expires_at < clock_timestamp() + INTERVAL '12 hours'
        END
    ), written AS (
        INSERT INTO eligible_operations AS eo (
            instance_id, operation_type, operation_name, operation_version, eligibility_status,
            eligibility_reason, evaluated_at, expires_at)
        SELECT instance_id, operation_type, operation_name, operation_version, status, reason,
            clock_timestamp(), clock_timestamp() + INTERVAL '24 hours'
        FROM difference
        WHERE status IS NOT NULL
        ON CONFLICT (instance_id, operation_type, operation_name, operation_version) DO UPDATE
        SET eligibility_status = EXCLUDED.eligibility_status,
            eligibility_reason = EXCLUDED.eligibility_reason,
            evaluated_at = EXCLUDED.evaluated_at,
            expires_at = EXCLUDED.expires_at
        WHERE eo.eligibility_status <> 'completed'
        RETURNING eo.instance_id, eo.operation_type, eo.operation_name, eo.operation_version,
            eo.eligibility_status
    ), closed AS (
        UPDATE eligible_operations eo
        SET eligibility_status = CASE
                WHEN newer.operation_version IS NULL THEN 'ineligible' ELSE 'superseded' END,
            eligibility_reason = coalesce('superseded by version ' || newer.operation_version,
                'the operation is not offered any more'),
            evaluated_at = clock_timestamp(),
            expires_at = NULL
        FROM difference d
        LEFT JOIN judged newer USING (instance_id, operation_type, operation_name)
        WHERE d.status IS NULL AND eo.id = d.cached_id
    ), told AS (
        -- Whose lists of services show something else now; a sync tells everybody by its own event.
        INSERT INTO events (kind, data)
        SELECT 'operations.changed', jsonb_build_object(
            'owners', jsonb_agg(DISTINCT si.owner_user_id), 'teams', jsonb_agg(DISTINCT si.owner_team))
        FROM difference d JOIN service_instances si ON si.id = d.instance_id
        WHERE p_instance_ids IS NOT NULL
          AND coalesce(d.status = 'eligible', FALSE) <> coalesce(d.cached_status = 'eligible', FALSE)
        HAVING count(*) > 0
    )
    SELECT w.instance_id, w.operation_type, w.operation_name, w.operation_version
    FROM written w
    JOIN difference d USING (instance_id, operation_type, operation_name, operation_version)
    WHERE w.eligibility_status = 'eligible' AND d.cached_status IS DISTINCT FROM 'eligible'
$$;
