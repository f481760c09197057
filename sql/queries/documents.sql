-- name: hold_items
-- Keep syncs away from items of these names or slugs, until the transaction ends.
SELECT id FROM catalog_items WHERE name = ANY (%(names)s) OR slug = ANY (%(names)s)
ORDER BY id FOR SHARE;

-- name: hold_items_of_bundle
-- Keep syncs away from the items of a bundle: they write items before bundles, so these are held first.
SELECT id FROM catalog_items WHERE id = ANY (ARRAY(
    SELECT i.id
    FROM catalog_bundles b
    CROSS JOIN LATERAL jsonb_path_query(b.bundle_definition, '$.*[*].catalog_item') AS used(item)
    JOIN catalog_items i ON i.name = used.item #>> '{}' OR i.slug = used.item #>> '{}' AND i.is_active
    WHERE b.name = %(name)s OR b.slug = %(name)s
))
ORDER BY id FOR SHARE;

-- name: hold_bundles
-- Keep syncs away from bundles of these names or slugs, until the transaction ends.
SELECT id FROM catalog_bundles WHERE name = ANY (%(names)s) OR slug = ANY (%(names)s)
ORDER BY id FOR SHARE;

-- name: hold_updates
-- Keep syncs away from updates of these names or slugs, until the transaction ends.
SELECT id FROM update_items WHERE name = ANY (%(names)s) OR slug = ANY (%(names)s)
ORDER BY id FOR SHARE;

-- name: hold_upgrades
-- Keep syncs away from upgrades of these names or slugs, until the transaction ends.
SELECT id FROM upgrade_items WHERE name = ANY (%(names)s) OR slug = ANY (%(names)s)
ORDER BY id FOR SHARE;

-- name: documents
-- Documents of any kind, active ones first.
SELECT id, kind, name, slug, display_name, version, description, owner, tags, category, icon,
       channel, is_active, lifecycle, replaced_by, access, approval, presentation, fulfillment,
       dependencies, bundle, targets, destructive, downtime_required, estimated_duration,
       current_catalog_commit(source_file_path, source_commit) AS source_commit, source_file_path,
       source_file_hash
FROM catalog_documents WHERE id = ANY (%(ids)s)
ORDER BY is_active DESC, name;

-- name: document_of_instance
-- The id of the item or bundle that an instance is of.
SELECT coalesce(catalog_item_id, catalog_bundle_id) FROM service_instances WHERE id = %(id)s;
