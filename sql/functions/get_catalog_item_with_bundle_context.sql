-- An item, named by its name or slug, with each active bundle that contains it; one row with NULLs
-- where none does. A bundle that needs the item in one place counts as requiring it.
CREATE OR REPLACE FUNCTION get_catalog_item_with_bundle_context(p_item_name VARCHAR)
RETURNS TABLE (
    item_id UUID,
    item_name VARCHAR,
    item_version VARCHAR,
    item_presentation JSONB,
    bundle_id UUID,
    bundle_name VARCHAR,
    bundle_version VARCHAR,
    bundle_presentation JSONB,
    is_required BOOLEAN,
    version_constraint VARCHAR
)
LANGUAGE sql STABLE AS $$
    WITH item AS (
        SELECT * FROM catalog_items
        WHERE name = p_item_name OR (slug = p_item_name AND is_active)
        ORDER BY name = p_item_name DESC
        LIMIT 1
    ), component AS (
        SELECT b.id, entry.value ->> 'catalog_item' AS target, entry.value ->> 'version' AS version,
            part.is_required, entry.ordinality
        FROM catalog_bundles b
        CROSS JOIN (VALUES ('required_items', TRUE), ('optional_items', FALSE)) AS part(key, is_required)
        CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(b.bundle_definition -> part.key)
            WHEN 'array' THEN b.bundle_definition -> part.key ELSE '[]' END
        ) WITH ORDINALITY AS entry
        WHERE b.is_active
    ), context AS (
        SELECT DISTINCT ON (c.id) c.id, c.is_required, c.version
        FROM component c JOIN item ON c.target IN (item.name, item.slug)
        ORDER BY c.id, c.is_required DESC, c.ordinality
    )
    SELECT item.id, item.name, item.version, item.presentation,
        b.id, b.name, b.version, b.presentation, context.is_required, context.version
    FROM item
    LEFT JOIN context ON TRUE
    LEFT JOIN catalog_bundles b ON b.id = context.id
    ORDER BY b.name
$$;
