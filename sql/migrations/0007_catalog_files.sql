-- What the last sync knows of each file of the catalog repository: enough to find out which other
-- files a change concerns, so that the next sync reads only those.
CREATE TABLE catalog_files (
    path TEXT PRIMARY KEY,
    blob_hash VARCHAR(64) NOT NULL,
    -- The documents in it as kind:slug:name; the kind is * where it could not be read.
    defines TEXT[] NOT NULL DEFAULT '{}',
    -- Slugs of the documents that it refers to.
    mentions TEXT[] NOT NULL DEFAULT '{}',
    -- Folders of Terraform modules that it names.
    modules TEXT[] NOT NULL DEFAULT '{}',
    -- What is wrong with it, by itself and with regard to others: errors and warnings.
    findings JSONB NOT NULL DEFAULT '[]'::jsonb,
    -- Whether the catalog serves an earlier version of some document of the file.
    is_broken BOOLEAN NOT NULL DEFAULT FALSE
);

-- By which rules the sync judged: others (a new release, other settings) judge everything anew.
ALTER TABLE catalog_sync_status ADD COLUMN rules TEXT;

-- Where a sync puts down what it is about to merge, by COPY. Syncs exclude each other, and each
-- leaves the table empty; its rows are worth nothing after a crash.
CREATE UNLOGGED TABLE catalog_incoming (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    description TEXT,
    owner TEXT NOT NULL,
    tags JSONB NOT NULL,
    category TEXT,
    presentation JSONB NOT NULL,
    fulfillment JSONB,
    bundle_definition JSONB,
    targets JSONB,
    destructive BOOLEAN,
    downtime_required BOOLEAN,
    estimated_duration TEXT,
    source_file_path TEXT NOT NULL,
    source_file_hash TEXT NOT NULL,
    display_name TEXT,
    icon TEXT,
    access JSONB,
    approval JSONB,
    lifecycle TEXT NOT NULL,
    replaced_by TEXT,
    channel TEXT,
    dependencies JSONB NOT NULL
);

-- The four kinds of documents as one list, for browsing and search.
CREATE VIEW catalog_entries AS
SELECT 'CatalogItem' AS kind, id, name, slug, display_name, version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, is_active, search
FROM catalog_items
UNION ALL
SELECT 'CatalogBundle', id, name, slug, display_name, version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, is_active, search
FROM catalog_bundles
UNION ALL
SELECT 'UpdateItem', id, name, slug, display_name, version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, is_active, search
FROM update_items
UNION ALL
SELECT 'UpgradeItem', id, name, slug, display_name, version, category, owner, tags,
       description, lifecycle, icon, replaced_by, access, is_active, search
FROM upgrade_items;

-- Whether somebody of these teams may see a document; the same rule as engine.people.permissions.
CREATE FUNCTION catalog_entry_is_open(p_access JSONB, p_owner TEXT, p_teams TEXT[])
RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT p_access IS NULL
        OR NOT p_access ?| ARRAY['teams', 'usergroups']
        OR p_owner = ANY (p_teams)
        OR EXISTS (
            SELECT FROM jsonb_path_query(p_access,
                '$.keyvalue() ? (@.key == "teams" || @.key == "usergroups").value[*]') AS named(team)
            WHERE ltrim(named.team #>> '{}', '@') = ANY (p_teams)
        )
$$;
