-- name: lock_sync
-- Wait until no other process syncs; the lock is the session's. Two integers, since Terraform's pg backend takes one bigint.
SELECT pg_advisory_lock(%(space)s::int, %(key)s::int);

-- name: begin_sync
-- Write the row of a sync that begins, and end the rows of those whose process died: the lock is held, so none of them
-- runs.
WITH abandoned AS (
    UPDATE catalog_sync_status
    SET status = 'failed', sync_completed_at = clock_timestamp(),
        error_message = 'The process that ran this sync ended before it did.'
    WHERE status = 'running'
)
INSERT INTO catalog_sync_status (sync_started_at, status, repository_url, branch, trigger)
VALUES (clock_timestamp(), 'running', %(url)s, %(branch)s, %(trigger)s)
RETURNING id;

-- name: end_sync
-- Complete the row of a sync, with its counts and findings.
UPDATE catalog_sync_status SET
    status = %(status)s, sync_completed_at = clock_timestamp(),
    commit_hash = %(commit)s, rules = %(rules)s, error_message = %(error_message)s, unchanged = %(unchanged)s,
    items_added = coalesce((%(counts)s::jsonb #>> '{items,added}')::int, 0),
    items_updated = coalesce((%(counts)s::jsonb #>> '{items,updated}')::int, 0),
    items_removed = coalesce((%(counts)s::jsonb #>> '{items,removed}')::int, 0),
    bundles_added = coalesce((%(counts)s::jsonb #>> '{bundles,added}')::int, 0),
    bundles_updated = coalesce((%(counts)s::jsonb #>> '{bundles,updated}')::int, 0),
    bundles_removed = coalesce((%(counts)s::jsonb #>> '{bundles,removed}')::int, 0),
    updates_added = coalesce((%(counts)s::jsonb #>> '{updates,added}')::int, 0),
    updates_updated = coalesce((%(counts)s::jsonb #>> '{updates,updated}')::int, 0),
    updates_removed = coalesce((%(counts)s::jsonb #>> '{updates,removed}')::int, 0),
    upgrades_added = coalesce((%(counts)s::jsonb #>> '{upgrades,added}')::int, 0),
    upgrades_updated = coalesce((%(counts)s::jsonb #>> '{upgrades,updated}')::int, 0),
    upgrades_removed = coalesce((%(counts)s::jsonb #>> '{upgrades,removed}')::int, 0),
    errors = %(errors)s, warnings = %(warnings)s,
    duration_ms = extract(epoch FROM clock_timestamp() - sync_started_at) * 1000
WHERE id = %(id)s
RETURNING duration_ms;

-- name: forget_idle_syncs
-- Delete older rows of the interval that found nothing new: the last one says when it was last looked.
DELETE FROM catalog_sync_status
WHERE id <> %(id)s AND trigger = 'interval' AND status = 'completed'
  AND commit_hash = %(commit)s AND unchanged > 0
  AND items_added + items_updated + items_removed + bundles_added + bundles_updated
    + bundles_removed + updates_added + updates_updated + updates_removed + upgrades_added
    + upgrades_updated + upgrades_removed = 0;

-- name: last_sync
-- The last completed sync, which is what the catalog serves.
SELECT id, repository_url, branch, commit_hash, errors, warnings, rules, sync_completed_at,
       unchanged + items_added + items_updated + bundles_added + bundles_updated + updates_added
       + updates_updated + upgrades_added + upgrades_updated AS in_service
FROM catalog_sync_status
WHERE status = 'completed'
ORDER BY sync_completed_at DESC, id DESC
LIMIT 1;

-- name: origin_of_commit
-- The repository and branch that a commit was synced from, the newest sync first.
SELECT repository_url, branch FROM catalog_sync_status
WHERE status = 'completed' AND commit_hash = %(commit)s
ORDER BY sync_completed_at DESC, id DESC
LIMIT 1;

-- name: last_failure
-- Why the newest sync that ended failed; nothing where it did not.
SELECT CASE WHEN status = 'failed' THEN error_message END
FROM catalog_sync_status
WHERE status <> 'running'
ORDER BY sync_completed_at DESC, id DESC
LIMIT 1;

-- name: last_syncs
-- The newest syncs, whatever became of them.
SELECT id, status, trigger, repository_url, branch, commit_hash, sync_started_at,
       sync_completed_at, duration_ms, error_message, unchanged,
       jsonb_array_length(errors) AS error_count, jsonb_array_length(warnings) AS warning_count
FROM catalog_sync_status
ORDER BY sync_started_at DESC, id DESC
LIMIT %(limit)s;

-- name: files
-- Every file that the last sync knew.
SELECT path, blob_hash, defines, mentions, modules, nullif(findings, '[]') AS findings, is_broken
FROM catalog_files;

-- name: files_about
-- The files that define or mention documents of these slugs, and those of these paths or blobs.
SELECT path, blob_hash, defines, mentions, modules, nullif(findings, '[]') AS findings, is_broken
FROM catalog_files
WHERE slugs && %(slugs)s::text[] OR mentions && %(slugs)s::text[]
   OR path = ANY (%(paths)s::text[]) OR blob_hash = ANY (%(blobs)s::text[]);

-- name: files_defining
-- The files that define documents of these slugs.
SELECT path, blob_hash, defines, mentions, modules, nullif(findings, '[]') AS findings, is_broken
FROM catalog_files WHERE slugs && %(slugs)s::text[];

-- name: forget_files
-- Delete the knowledge of files, before what replaces it is copied in.
DELETE FROM catalog_files WHERE path = ANY (%(paths)s);

-- name: break_files
-- Mark the files whose documents are served in an earlier version, and those that are good again.
UPDATE catalog_files SET is_broken = path = ANY (%(broken)s)
WHERE is_broken <> (path = ANY (%(broken)s));

-- name: documents
-- Every document that the catalog knows, active or not.
SELECT 'CatalogItem' AS kind, name, slug, version, source_file_path, source_file_hash, is_active
FROM catalog_items
UNION ALL
SELECT 'CatalogBundle', name, slug, version, source_file_path, source_file_hash, is_active
FROM catalog_bundles
UNION ALL
SELECT 'UpdateItem', name, slug, version, source_file_path, source_file_hash, is_active
FROM update_items
UNION ALL
SELECT 'UpgradeItem', name, slug, version, source_file_path, source_file_hash, is_active
FROM upgrade_items;

-- name: documents_named
-- The documents of these kinds and names, active or not.
WITH wanted AS (
    SELECT kind, name FROM unnest(%(kinds)s::text[], %(names)s::text[]) AS w(kind, name)
)
SELECT w.kind, d.name, d.slug, d.version, d.source_file_path, d.source_file_hash, d.is_active
FROM wanted w JOIN catalog_items d ON w.kind = 'CatalogItem' AND d.name = w.name
UNION ALL
SELECT w.kind, d.name, d.slug, d.version, d.source_file_path, d.source_file_hash, d.is_active
FROM wanted w JOIN catalog_bundles d ON w.kind = 'CatalogBundle' AND d.name = w.name
UNION ALL
SELECT w.kind, d.name, d.slug, d.version, d.source_file_path, d.source_file_hash, d.is_active
FROM wanted w JOIN update_items d ON w.kind = 'UpdateItem' AND d.name = w.name
UNION ALL
SELECT w.kind, d.name, d.slug, d.version, d.source_file_path, d.source_file_hash, d.is_active
FROM wanted w JOIN upgrade_items d ON w.kind = 'UpgradeItem' AND d.name = w.name;

-- name: deactivate
-- Take documents that the repository no longer has out of service; instances go on naming them.
WITH gone AS (
    SELECT kind, name FROM unnest(%(kinds)s::text[], %(names)s::text[]) AS g(kind, name)
), items AS (
    UPDATE catalog_items c SET is_active = FALSE, updated_at = clock_timestamp()
    FROM gone g WHERE g.kind = 'CatalogItem' AND c.name = g.name AND c.is_active
), bundles AS (
    UPDATE catalog_bundles c SET is_active = FALSE, updated_at = clock_timestamp()
    FROM gone g WHERE g.kind = 'CatalogBundle' AND c.name = g.name AND c.is_active
), updates AS (
    UPDATE update_items c SET is_active = FALSE, updated_at = clock_timestamp()
    FROM gone g WHERE g.kind = 'UpdateItem' AND c.name = g.name AND c.is_active
)
UPDATE upgrade_items c SET is_active = FALSE, updated_at = clock_timestamp()
FROM gone g WHERE g.kind = 'UpgradeItem' AND c.name = g.name AND c.is_active;

-- name: pin_broken
-- Remember the last commit at which the documents of files that broke just now were good.
WITH broken AS (
    SELECT path FROM unnest(%(paths)s::text[]) AS b(path)
), items AS (
    UPDATE catalog_items c SET source_commit = %(commit)s FROM broken b WHERE c.source_file_path = b.path
), bundles AS (
    UPDATE catalog_bundles c SET source_commit = %(commit)s FROM broken b WHERE c.source_file_path = b.path
), updates AS (
    UPDATE update_items c SET source_commit = %(commit)s FROM broken b WHERE c.source_file_path = b.path
)
UPDATE upgrade_items c SET source_commit = %(commit)s FROM broken b WHERE c.source_file_path = b.path;

-- name: merge_items
-- Put the incoming items into service.
INSERT INTO catalog_items AS c (
    name, version, description, owner, tags, category, presentation, fulfillment, source_file_path,
    source_file_hash, source_commit, display_name, icon, access, approval, lifecycle, replaced_by,
    channel, dependencies)
SELECT name, version, description, owner, tags, category, presentation, fulfillment,
       source_file_path, source_file_hash, %(commit)s, display_name, icon, access, approval,
       lifecycle, replaced_by, channel, dependencies
FROM catalog_incoming
ON CONFLICT (name) DO UPDATE SET
    version = EXCLUDED.version, description = EXCLUDED.description, owner = EXCLUDED.owner,
    tags = EXCLUDED.tags, category = EXCLUDED.category, presentation = EXCLUDED.presentation,
    fulfillment = EXCLUDED.fulfillment, source_file_path = EXCLUDED.source_file_path,
    source_file_hash = EXCLUDED.source_file_hash, source_commit = EXCLUDED.source_commit,
    display_name = EXCLUDED.display_name, icon = EXCLUDED.icon, access = EXCLUDED.access,
    approval = EXCLUDED.approval, lifecycle = EXCLUDED.lifecycle,
    replaced_by = EXCLUDED.replaced_by, channel = EXCLUDED.channel,
    dependencies = EXCLUDED.dependencies, is_active = TRUE, updated_at = clock_timestamp();

-- name: merge_bundles
-- Put the incoming bundles into service.
INSERT INTO catalog_bundles AS c (
    name, version, description, owner, tags, category, presentation, bundle_definition,
    source_file_path, source_file_hash, source_commit, display_name, icon, access, approval,
    lifecycle, replaced_by, channel, dependencies)
SELECT name, version, description, owner, tags, category, presentation, bundle_definition,
       source_file_path, source_file_hash, %(commit)s, display_name, icon, access, approval,
       lifecycle, replaced_by, channel, dependencies
FROM catalog_incoming
ON CONFLICT (name) DO UPDATE SET
    version = EXCLUDED.version, description = EXCLUDED.description, owner = EXCLUDED.owner,
    tags = EXCLUDED.tags, category = EXCLUDED.category, presentation = EXCLUDED.presentation,
    bundle_definition = EXCLUDED.bundle_definition, source_file_path = EXCLUDED.source_file_path,
    source_file_hash = EXCLUDED.source_file_hash, source_commit = EXCLUDED.source_commit,
    display_name = EXCLUDED.display_name, icon = EXCLUDED.icon, access = EXCLUDED.access,
    approval = EXCLUDED.approval, lifecycle = EXCLUDED.lifecycle,
    replaced_by = EXCLUDED.replaced_by, channel = EXCLUDED.channel,
    dependencies = EXCLUDED.dependencies, is_active = TRUE, updated_at = clock_timestamp();

-- name: merge_updates
-- Put the incoming update items into service; their targets are normalised by a trigger.
INSERT INTO update_items AS c (
    name, version, description, owner, tags, category, targets, destructive, downtime_required,
    estimated_duration, presentation, fulfillment, source_file_path, source_file_hash,
    source_commit, display_name, icon, access, approval, lifecycle, replaced_by, channel,
    dependencies)
SELECT name, version, description, owner, tags, category, targets, destructive, downtime_required,
       estimated_duration, presentation, fulfillment, source_file_path, source_file_hash,
       %(commit)s, display_name, icon, access, approval, lifecycle, replaced_by, channel,
       dependencies
FROM catalog_incoming
ON CONFLICT (name) DO UPDATE SET
    version = EXCLUDED.version, description = EXCLUDED.description, owner = EXCLUDED.owner,
    tags = EXCLUDED.tags, category = EXCLUDED.category, targets = EXCLUDED.targets,
    destructive = EXCLUDED.destructive, downtime_required = EXCLUDED.downtime_required,
    estimated_duration = EXCLUDED.estimated_duration, presentation = EXCLUDED.presentation,
    fulfillment = EXCLUDED.fulfillment, source_file_path = EXCLUDED.source_file_path,
    source_file_hash = EXCLUDED.source_file_hash, source_commit = EXCLUDED.source_commit,
    display_name = EXCLUDED.display_name, icon = EXCLUDED.icon, access = EXCLUDED.access,
    approval = EXCLUDED.approval, lifecycle = EXCLUDED.lifecycle,
    replaced_by = EXCLUDED.replaced_by, channel = EXCLUDED.channel,
    dependencies = EXCLUDED.dependencies, is_active = TRUE, updated_at = clock_timestamp();

-- name: merge_upgrades
-- Put the incoming upgrade items into service; their targets are normalised by a trigger.
INSERT INTO upgrade_items AS c (
    name, version, description, owner, tags, category, targets, destructive, downtime_required,
    estimated_duration, presentation, fulfillment, source_file_path, source_file_hash,
    source_commit, display_name, icon, access, approval, lifecycle, replaced_by, channel,
    dependencies)
SELECT name, version, description, owner, tags, category, targets, destructive, downtime_required,
       estimated_duration, presentation, fulfillment, source_file_path, source_file_hash,
       %(commit)s, display_name, icon, access, approval, lifecycle, replaced_by, channel,
       dependencies
FROM catalog_incoming
ON CONFLICT (name) DO UPDATE SET
    version = EXCLUDED.version, description = EXCLUDED.description, owner = EXCLUDED.owner,
    tags = EXCLUDED.tags, category = EXCLUDED.category, targets = EXCLUDED.targets,
    destructive = EXCLUDED.destructive, downtime_required = EXCLUDED.downtime_required,
    estimated_duration = EXCLUDED.estimated_duration, presentation = EXCLUDED.presentation,
    fulfillment = EXCLUDED.fulfillment, source_file_path = EXCLUDED.source_file_path,
    source_file_hash = EXCLUDED.source_file_hash, source_commit = EXCLUDED.source_commit,
    display_name = EXCLUDED.display_name, icon = EXCLUDED.icon, access = EXCLUDED.access,
    approval = EXCLUDED.approval, lifecycle = EXCLUDED.lifecycle,
    replaced_by = EXCLUDED.replaced_by, channel = EXCLUDED.channel,
    dependencies = EXCLUDED.dependencies, is_active = TRUE, updated_at = clock_timestamp();

-- name: clear_incoming
-- Leave nothing behind for the next sync.
DELETE FROM catalog_incoming;

-- name: refresh_eligibility
-- Judge again what may be done to the instances of changed items and bundles, and to those that changed operations
-- are, or were, offered for; returns how many operations became eligible.
WITH change AS (
    SELECT kind, name FROM unnest(%(kinds)s::text[], %(names)s::text[]) AS c(kind, name)
), operation AS (
    SELECT 'update' AS kind, o.id, o.name FROM update_items o
    JOIN change c ON c.kind = 'UpdateItem' AND c.name = o.name
    UNION ALL
    SELECT 'upgrade', o.id, o.name FROM upgrade_items o
    JOIN change c ON c.kind = 'UpgradeItem' AND c.name = o.name
), target AS (
    SELECT t.target_name FROM operation o
    JOIN operation_targets t ON t.kind = o.kind AND t.operation_id = o.id
), item AS (
    SELECT i.id FROM catalog_items i JOIN change c ON c.kind = 'CatalogItem' AND c.name = i.name
    UNION
    SELECT i.id FROM catalog_items i JOIN target t ON t.target_name IN (i.name, i.slug)
), bundle AS (
    SELECT b.id FROM catalog_bundles b JOIN change c ON c.kind = 'CatalogBundle' AND c.name = b.name
    UNION
    SELECT b.id FROM catalog_bundles b JOIN target t ON t.target_name IN (b.name, b.slug)
), touched AS (
    SELECT si.catalog_item_id AS id FROM service_instances si JOIN item ON item.id = si.catalog_item_id
    UNION
    SELECT si.catalog_bundle_id FROM service_instances si JOIN bundle ON bundle.id = si.catalog_bundle_id
    UNION
    SELECT coalesce(si.catalog_item_id, si.catalog_bundle_id) FROM operation o
    JOIN eligible_operations eo ON eo.operation_name = o.name AND eo.operation_type = o.kind
    JOIN service_instances si ON si.id = eo.instance_id
), documents AS (
    SELECT array_agg(id) AS ids FROM touched HAVING count(*) > 0 -- nothing is judged where nothing runs
)
SELECT count(*) FROM documents CROSS JOIN LATERAL refresh_operations(NULL, documents.ids);

-- name: notify
-- Tell every process, once the transaction has committed, that the catalog changed.
SELECT pg_notify(%(channel)s, '');
