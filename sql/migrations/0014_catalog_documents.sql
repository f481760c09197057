-- A document of any kind as a submission reads it, sections as written.
CREATE VIEW catalog_documents AS
SELECT id, 'CatalogItem' AS kind, name, slug, coalesce(display_name, name) AS display_name, version,
    description, owner, tags, category, icon, channel, is_active, lifecycle, replaced_by, access,
    approval, presentation, fulfillment, dependencies, NULL::jsonb AS bundle, NULL::jsonb AS targets,
    TRUE AS destructive, FALSE AS downtime_required, NULL::text AS estimated_duration,
    source_commit, source_file_path, source_file_hash
FROM catalog_items
UNION ALL
SELECT id, 'CatalogBundle', name, slug, coalesce(display_name, name), version, description, owner,
    tags, category, icon, channel, is_active, lifecycle, replaced_by, access, approval, presentation,
    '{}', dependencies, bundle_definition, NULL, TRUE, FALSE, NULL, source_commit,
    source_file_path, source_file_hash
FROM catalog_bundles
UNION ALL
SELECT id, 'UpdateItem', name, slug, coalesce(display_name, name), version, description, owner,
    tags, category, icon, channel, is_active, lifecycle, replaced_by, access, approval, presentation,
    fulfillment, dependencies, NULL, targets, destructive, downtime_required, estimated_duration,
    source_commit, source_file_path, source_file_hash
FROM update_items
UNION ALL
SELECT id, 'UpgradeItem', name, slug, coalesce(display_name, name), version, description, owner,
    tags, category, icon, channel, is_active, lifecycle, replaced_by, access, approval, presentation,
    fulfillment, dependencies, NULL, targets, destructive, downtime_required, estimated_duration,
    source_commit, source_file_path, source_file_hash
FROM upgrade_items;
