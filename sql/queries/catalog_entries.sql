-- name: list_entries
-- One page of the documents in service that somebody of these teams may see, by name.
SELECT kind, name, slug, coalesce(display_name, name) AS display_name, version, category, owner,
       tags, description, lifecycle, icon, replaced_by, 0 AS score
FROM catalog_entries
WHERE is_active AND lifecycle <> 'retired'
  AND (NOT %(requestable)s::boolean
       OR kind IN ('CatalogItem', 'CatalogBundle') AND lifecycle = 'active')
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(category)s::text IS NULL OR category = %(category)s)
  AND (%(owner)s::text IS NULL OR owner = %(owner)s)
  AND (%(tag)s::text IS NULL OR tags ? %(tag)s)
  AND (%(sees_all)s::boolean OR access IS NULL
       OR catalog_entry_is_open(access, owner, %(teams)s::text[]))
  AND (%(after_name)s::text IS NULL
       OR name >= %(after_name)s AND (name, kind) > (%(after_name)s, %(after_kind)s::text))
ORDER BY name, kind
LIMIT %(limit)s;

-- name: search_entries
-- One page of the documents that have all the words, each as a prefix, the best hit first. As a sub-query the words
-- are read once and not for each row, which a plan that is made before they are known would do. Only what orders the
-- hits is sorted; what a page shows is read for the page.
WITH hit AS (
    SELECT kind, id, name,
           CASE WHEN slug = %(slug)s::text THEN 3000000
                WHEN starts_with(slug, %(slug)s::text) THEN 2000000 ELSE 0 END
           + CASE WHEN lifecycle = 'active' THEN 0 ELSE -1000000 END
           + (ts_rank('{0.05,0.2,0.5,1}', search, (SELECT to_tsquery('simple', %(words)s::text)))
              * 1000000)::int AS score
    FROM catalog_entries
    WHERE search @@ (SELECT to_tsquery('simple', %(words)s::text))
      AND is_active AND lifecycle <> 'retired'
      AND (NOT %(requestable)s::boolean
           OR kind IN ('CatalogItem', 'CatalogBundle') AND lifecycle = 'active')
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(category)s::text IS NULL OR category = %(category)s)
      AND (%(owner)s::text IS NULL OR owner = %(owner)s)
      AND (%(tag)s::text IS NULL OR tags ? %(tag)s)
      AND (%(sees_all)s::boolean OR access IS NULL
       OR catalog_entry_is_open(access, owner, %(teams)s::text[]))
), page AS (
    SELECT * FROM hit
    WHERE %(after_name)s::text IS NULL
       OR (-score, name, kind) > (-%(after_score)s::int, %(after_name)s, %(after_kind)s::text)
    ORDER BY score DESC, name, kind
    LIMIT %(limit)s
)
SELECT kind, name, slug, coalesce(display_name, name) AS display_name, version, category, owner,
       tags, description, lifecycle, icon, replaced_by, score
FROM page JOIN catalog_entries USING (kind, id, name)
ORDER BY score DESC, name, kind;

-- name: find_documents
-- The documents of a name or slug, whole, those in service first.
SELECT 'CatalogItem' AS kind, name, slug, coalesce(display_name, name) AS display_name, version,
       category, owner, tags, description, lifecycle, icon, replaced_by, access, approval, channel,
       dependencies, presentation, fulfillment, NULL::jsonb AS bundle, NULL::jsonb AS targets,
       is_active, source_file_path, source_file_hash,
       current_catalog_commit(source_file_path, source_commit) AS commit, updated_at
FROM catalog_items WHERE name = %(name)s OR slug = %(name)s
UNION ALL
SELECT 'CatalogBundle', name, slug, coalesce(display_name, name), version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, approval, channel, dependencies,
       presentation, NULL, bundle_definition, NULL, is_active, source_file_path, source_file_hash,
       current_catalog_commit(source_file_path, source_commit), updated_at
FROM catalog_bundles WHERE name = %(name)s OR slug = %(name)s
UNION ALL
SELECT 'UpdateItem', name, slug, coalesce(display_name, name), version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, approval, channel, dependencies,
       presentation, fulfillment, NULL, targets, is_active, source_file_path, source_file_hash,
       current_catalog_commit(source_file_path, source_commit), updated_at
FROM update_items WHERE name = %(name)s OR slug = %(name)s
UNION ALL
SELECT 'UpgradeItem', name, slug, coalesce(display_name, name), version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, approval, channel, dependencies,
       presentation, fulfillment, NULL, targets, is_active, source_file_path, source_file_hash,
       current_catalog_commit(source_file_path, source_commit), updated_at
FROM upgrade_items WHERE name = %(name)s OR slug = %(name)s
ORDER BY is_active DESC, kind;

-- name: bundles_of_item
-- The active bundles that contain an item.
SELECT bundle_name AS name, bundle_version AS version, is_required, version_constraint
FROM get_catalog_item_with_bundle_context(%(name)s)
WHERE bundle_id IS NOT NULL;

-- name: touched_instances
-- The instances that are not decommissioned, of the items and bundles that targets name, in the range of each.
SELECT number, count(*) AS count, (array_agg(instance_id ORDER BY created_at, instance_id))[1:100] AS instance_ids
FROM (
    SELECT DISTINCT t.number, i.instance_id, i.created_at
    FROM jsonb_to_recordset(%(targets)s::jsonb)
        AS t(number INT, kind TEXT, slug TEXT, version_range TEXT)
    JOIN listed_instances i ON i.catalog_slug = t.slug
        AND (t.kind IS NULL OR (i.catalog_bundle_id IS NOT NULL) = (t.kind = 'CatalogBundle'))
        AND (t.version_range IS NULL OR version_satisfies(i.catalog_version, t.version_range))
    WHERE i.instance_state <> 'decommissioned'
      AND (%(sees_all)s::boolean OR i.owner_user_id = %(user_id)s::text
           OR i.owner_team = ANY (%(teams)s::text[]) OR i.document_owner = ANY (%(teams)s::text[]))
) AS touched
GROUP BY number
ORDER BY number;

-- name: visible_names
-- Every name and slug that somebody of these teams may see, for a suggestion.
SELECT name FROM catalog_entries
WHERE is_active AND lifecycle <> 'retired' AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(sees_all)s::boolean OR access IS NULL
       OR catalog_entry_is_open(access, owner, %(teams)s::text[]))
UNION
SELECT slug FROM catalog_entries
WHERE is_active AND lifecycle <> 'retired' AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(sees_all)s::boolean OR access IS NULL
       OR catalog_entry_is_open(access, owner, %(teams)s::text[]));

-- name: count_by_kind
-- How many documents of each kind are in service, by lifecycle.
SELECT kind, lifecycle, count(*) AS count
FROM catalog_entries WHERE is_active
GROUP BY kind, lifecycle
ORDER BY kind, lifecycle;

-- name: count_by_category
-- How many items and bundles of each category are in service.
SELECT category, count(*) AS count
FROM catalog_entries WHERE is_active AND kind IN ('CatalogItem', 'CatalogBundle')
GROUP BY category
ORDER BY category NULLS LAST;

-- name: count_by_use
-- What was requested most, and how much of that stands as failed.
SELECT coalesce(ci.name, cb.name) AS name, count(*) AS requests,
       count(*) FILTER (WHERE r.status = 'failed') AS failed
FROM service_requests r
LEFT JOIN catalog_items ci ON ci.id = r.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = r.catalog_bundle_id
WHERE r.request_type = 'create'
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT %(limit)s;
