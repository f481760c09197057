-- The catalog as the last good commit of the Git repository states it.
-- An index that would repeat a UNIQUE or PRIMARY KEY is not made: the constraint's own index serves.

-- The reference key of a document: NFKD, ASCII, lower case, every other run one hyphen.
CREATE FUNCTION slugify(p_name TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT trim(BOTH '-' FROM regexp_replace(
        lower(regexp_replace(normalize(p_name, NFKD), '[^\u0001-\u007F]', '', 'g') COLLATE "C"),
        '[^a-z0-9]+', '-', 'g'))
$$;

-- What the search reads: the words of name, display name, description and tags.
CREATE FUNCTION catalog_search_text(p_name TEXT, p_display_name TEXT, p_description TEXT, p_tags JSONB)
RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('simple', slugify(coalesce(p_name, '')) || ' ' || translate(coalesce(p_name, ''), '-_./', '    ')), 'A')
        || setweight(to_tsvector('simple', coalesce(p_display_name, '')), 'A')
        || setweight(jsonb_to_tsvector('simple', coalesce(p_tags, '[]'), '["string"]'), 'B')
        || setweight(to_tsvector('simple', translate(coalesce(p_description, ''), '-_./', '    ')), 'C')
$$;

CREATE TABLE catalog_items (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    version TEXT NOT NULL,
    description TEXT,
    owner VARCHAR(255) NOT NULL,
    tags JSONB DEFAULT '[]'::jsonb,
    category VARCHAR(100),
    presentation JSONB NOT NULL,
    fulfillment JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    source_file_path TEXT,
    source_file_hash VARCHAR(64),
    slug TEXT GENERATED ALWAYS AS (slugify(name)) STORED,
    display_name TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    source_commit VARCHAR(64),
    icon TEXT,
    access JSONB,
    approval JSONB,
    lifecycle TEXT NOT NULL DEFAULT 'active',
    replaced_by TEXT,
    channel TEXT,
    dependencies JSONB NOT NULL DEFAULT '[]'::jsonb,
    search tsvector GENERATED ALWAYS AS (catalog_search_text(name, display_name, description, tags)) STORED,
    CONSTRAINT check_catalog_items_slug CHECK (slug <> ''),
    CONSTRAINT check_catalog_items_version CHECK (char_length(version) BETWEEN 1 AND 255),
    CONSTRAINT check_catalog_items_lifecycle CHECK (lifecycle IN ('active', 'deprecated', 'retired'))
);
CREATE INDEX idx_catalog_items_owner ON catalog_items(owner);
CREATE INDEX idx_catalog_items_category ON catalog_items(category);
CREATE INDEX idx_catalog_items_tags ON catalog_items USING gin(tags);
CREATE INDEX idx_catalog_items_name_id ON catalog_items(name, id);
CREATE INDEX idx_catalog_items_created_id ON catalog_items(created_at DESC, id);
CREATE INDEX idx_catalog_items_search ON catalog_items USING gin(search);
CREATE UNIQUE INDEX idx_catalog_items_slug ON catalog_items(slug) WHERE is_active;

CREATE TABLE catalog_bundles (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    version TEXT NOT NULL,
    description TEXT,
    owner VARCHAR(255) NOT NULL,
    tags JSONB DEFAULT '[]'::jsonb,
    bundle_definition JSONB NOT NULL,
    presentation JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    source_file_path TEXT,
    source_file_hash VARCHAR(64),
    category VARCHAR(100),
    slug TEXT GENERATED ALWAYS AS (slugify(name)) STORED,
    display_name TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    source_commit VARCHAR(64),
    icon TEXT,
    access JSONB,
    approval JSONB,
    lifecycle TEXT NOT NULL DEFAULT 'active',
    replaced_by TEXT,
    channel TEXT,
    dependencies JSONB NOT NULL DEFAULT '[]'::jsonb,
    search tsvector GENERATED ALWAYS AS (catalog_search_text(name, display_name, description, tags)) STORED,
    CONSTRAINT check_catalog_bundles_slug CHECK (slug <> ''),
    CONSTRAINT check_catalog_bundles_version CHECK (char_length(version) BETWEEN 1 AND 255),
    CONSTRAINT check_catalog_bundles_lifecycle CHECK (lifecycle IN ('active', 'deprecated', 'retired'))
);
CREATE INDEX idx_catalog_bundles_owner ON catalog_bundles(owner);
CREATE INDEX idx_catalog_bundles_search ON catalog_bundles USING gin(search);
CREATE UNIQUE INDEX idx_catalog_bundles_slug ON catalog_bundles(slug) WHERE is_active;

CREATE TABLE update_items (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    version TEXT NOT NULL,
    description TEXT,
    owner VARCHAR(255) NOT NULL,
    tags JSONB DEFAULT '[]'::jsonb,
    targets JSONB NOT NULL,
    destructive BOOLEAN NOT NULL DEFAULT FALSE,
    downtime_required BOOLEAN NOT NULL DEFAULT FALSE,
    estimated_duration VARCHAR(50),
    presentation JSONB NOT NULL,
    fulfillment JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    source_file_path TEXT,
    source_file_hash VARCHAR(64),
    category VARCHAR(100),
    slug TEXT GENERATED ALWAYS AS (slugify(name)) STORED,
    display_name TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    source_commit VARCHAR(64),
    icon TEXT,
    access JSONB,
    approval JSONB,
    lifecycle TEXT NOT NULL DEFAULT 'active',
    replaced_by TEXT,
    channel TEXT,
    dependencies JSONB NOT NULL DEFAULT '[]'::jsonb,
    search tsvector GENERATED ALWAYS AS (catalog_search_text(name, display_name, description, tags)) STORED,
    CONSTRAINT check_update_items_slug CHECK (slug <> ''),
    CONSTRAINT check_update_items_version CHECK (char_length(version) BETWEEN 1 AND 255),
    CONSTRAINT check_update_items_lifecycle CHECK (lifecycle IN ('active', 'deprecated', 'retired'))
);
CREATE INDEX idx_update_items_destructive ON update_items(destructive);
CREATE INDEX idx_update_items_tags ON update_items USING gin(tags);
CREATE INDEX idx_update_items_targets ON update_items USING gin(targets);
CREATE INDEX idx_update_items_search ON update_items USING gin(search);
CREATE UNIQUE INDEX idx_update_items_slug ON update_items(slug) WHERE is_active;

CREATE TABLE upgrade_items (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    version TEXT NOT NULL,
    description TEXT,
    owner VARCHAR(255) NOT NULL,
    tags JSONB DEFAULT '[]'::jsonb,
    targets JSONB NOT NULL,
    destructive BOOLEAN NOT NULL DEFAULT TRUE,
    downtime_required BOOLEAN NOT NULL DEFAULT TRUE,
    estimated_duration VARCHAR(50),
    presentation JSONB NOT NULL,
    fulfillment JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    source_file_path TEXT,
    source_file_hash VARCHAR(64),
    category VARCHAR(100),
    slug TEXT GENERATED ALWAYS AS (slugify(name)) STORED,
    display_name TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    source_commit VARCHAR(64),
    icon TEXT,
    access JSONB,
    approval JSONB,
    lifecycle TEXT NOT NULL DEFAULT 'active',
    replaced_by TEXT,
    channel TEXT,
    dependencies JSONB NOT NULL DEFAULT '[]'::jsonb,
    search tsvector GENERATED ALWAYS AS (catalog_search_text(name, display_name, description, tags)) STORED,
    CONSTRAINT check_upgrade_items_slug CHECK (slug <> ''),
    CONSTRAINT check_upgrade_items_version CHECK (char_length(version) BETWEEN 1 AND 255),
    CONSTRAINT check_upgrade_items_lifecycle CHECK (lifecycle IN ('active', 'deprecated', 'retired'))
);
CREATE INDEX idx_upgrade_items_downtime ON upgrade_items(downtime_required);
CREATE INDEX idx_upgrade_items_tags ON upgrade_items USING gin(tags);
CREATE INDEX idx_upgrade_items_targets ON upgrade_items USING gin(targets);
CREATE INDEX idx_upgrade_items_search ON upgrade_items USING gin(search);
CREATE UNIQUE INDEX idx_upgrade_items_slug ON upgrade_items(slug) WHERE is_active;

-- targets.catalog_items of update and upgrade items, normalised by a trigger, so that eligibility joins rows.
CREATE TABLE operation_targets (
    kind TEXT NOT NULL,
    operation_id UUID NOT NULL,
    target_name TEXT NOT NULL,
    -- As written; NULL takes every version.
    version_range TEXT,
    comparators JSONB NOT NULL,
    CONSTRAINT check_operation_targets_kind CHECK (kind IN ('update', 'upgrade'))
);
CREATE INDEX idx_operation_targets_operation ON operation_targets(operation_id);
CREATE INDEX idx_operation_targets_target ON operation_targets(target_name);

CREATE TABLE catalog_sync_status (
    id SERIAL PRIMARY KEY,
    sync_started_at TIMESTAMPTZ NOT NULL,
    sync_completed_at TIMESTAMPTZ,
    status VARCHAR(50) NOT NULL,
    repository_url TEXT NOT NULL,
    branch VARCHAR(100) NOT NULL,
    commit_hash VARCHAR(64),
    items_added INT DEFAULT 0,
    items_updated INT DEFAULT 0,
    items_removed INT DEFAULT 0,
    bundles_added INT DEFAULT 0,
    bundles_updated INT DEFAULT 0,
    bundles_removed INT DEFAULT 0,
    error_message TEXT,
    updates_added INT DEFAULT 0,
    updates_updated INT DEFAULT 0,
    updates_removed INT DEFAULT 0,
    upgrades_added INT DEFAULT 0,
    upgrades_updated INT DEFAULT 0,
    upgrades_removed INT DEFAULT 0,
    unchanged INT DEFAULT 0,
    errors JSONB NOT NULL DEFAULT '[]'::jsonb,
    warnings JSONB NOT NULL DEFAULT '[]'::jsonb,
    duration_ms INT,
    trigger TEXT,
    CONSTRAINT check_catalog_sync_status CHECK (status IN ('running', 'completed', 'failed'))
);
CREATE INDEX idx_catalog_sync_status_completed ON catalog_sync_status(sync_completed_at DESC);
