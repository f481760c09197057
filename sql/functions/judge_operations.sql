-- Every active operation that targets the item or bundle of instances, named by their ids, by their
-- documents, or all that live (both NULL), and whether it may be run now; the reason in words where
-- it may not. The work with versions is done once for each version of an item in use, not for each
-- instance.
--
-- A completed upgrade is not offered again in the same version; an update can be repeated.
--
CREATE OR REPLACE FUNCTION judge_operations(p_instance_ids UUID[], p_document_ids UUID[])
RETURNS TABLE (
    instance_id UUID,
    operation_type VARCHAR,
    operation_name VARCHAR,
    operation_version VARCHAR,
    description TEXT,
    destructive BOOLEAN,
    downtime_required BOOLEAN,
    estimated_duration VARCHAR,
    status VARCHAR,
    reason TEXT
)
LANGUAGE plpgsql STABLE ROWS 10000
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH instance AS MATERIALIZED (
        SELECT si.id, coalesce(si.catalog_item_id, si.catalog_bundle_id) AS document_id, si.catalog_version,
            CASE WHEN si.instance_state NOT IN ('active', 'degraded')
                    THEN 'the instance is ' || si.instance_state
                WHEN busy.id IS NOT NULL THEN 'request ' || busy.request_id || ' is under way'
            END AS reason
        FROM service_instances si
        LEFT JOIN service_requests busy ON busy.subject_instance_id = si.id
            AND busy.status IN ('submitted', 'validating', 'in_progress', 'resuming')
        WHERE si.id = ANY (p_instance_ids)
            OR (si.catalog_item_id = ANY (p_document_ids) OR si.catalog_bundle_id = ANY (p_document_ids))
                AND si.instance_state <> 'decommissioned'
            OR p_instance_ids IS NULL AND p_document_ids IS NULL
                AND si.instance_state <> 'decommissioned'
    ), done AS MATERIALIZED (
        SELECT eo.instance_id, eo.operation_name, eo.operation_version
        FROM instance i JOIN eligible_operations eo ON eo.instance_id = i.id
        WHERE eo.eligibility_status = 'completed' AND eo.operation_type = 'upgrade'
    ), operation AS (
        SELECT 'update' AS kind, id, name, version, description, destructive, downtime_required,
            estimated_duration, lifecycle
        FROM update_items WHERE is_active
        UNION ALL
        SELECT 'upgrade', id, name, version, description, destructive, downtime_required,
            estimated_duration, lifecycle
        FROM upgrade_items WHERE is_active
    ), document AS (
        SELECT id, name, slug FROM catalog_items UNION ALL SELECT id, name, slug FROM catalog_bundles
    ), fit AS MATERIALIZED (
        SELECT in_use.document_id, in_use.catalog_version, t.kind, t.operation_id,
            CASE WHEN NOT bool_or(version_is_inside(semver_key(in_use.catalog_version), t.comparators))
                THEN 'version ' || in_use.catalog_version || ' is outside '
                    || string_agg(t.version_range, ' || ' ORDER BY t.version_range)
            END AS unfit
        FROM (SELECT DISTINCT document_id, catalog_version FROM instance) AS in_use
        JOIN document d ON d.id = in_use.document_id
        JOIN operation_targets t ON t.target_name IN (d.name, d.slug)
        GROUP BY 1, 2, 3, 4
    ), offer AS MATERIALIZED (
        SELECT fit.document_id, fit.catalog_version, o.kind::varchar, o.name, o.version::varchar, o.description,
            o.destructive, o.downtime_required, o.estimated_duration,
            CASE WHEN o.lifecycle = 'retired' THEN 'the operation is retired' END AS retired,
            fit.unfit
        FROM fit JOIN operation o ON o.kind = fit.kind AND o.id = fit.operation_id
    )
    SELECT instance_id, kind, name, version, description, destructive, downtime_required,
        estimated_duration,
        (CASE WHEN is_completed THEN 'completed' WHEN reason IS NOT NULL THEN 'ineligible'
            ELSE 'eligible' END)::varchar,
        CASE WHEN is_completed THEN 'this version of the upgrade was completed' ELSE reason END
    FROM (
        SELECT i.id AS instance_id, o.*, coalesce(o.retired, i.reason, o.unfit) AS reason,
            o.kind = 'upgrade' AND (i.id, o.name, o.version) IN (SELECT * FROM done) AS is_completed
        FROM instance i
        JOIN offer o ON o.document_id = i.document_id AND o.catalog_version = i.catalog_version
    ) AS judged;
END;
$$;
