-- What is deployed: instances, members of bundles, dependencies, history, eligible operations.

CREATE TABLE service_instances (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id VARCHAR(100) NOT NULL UNIQUE,
    catalog_item_id UUID REFERENCES catalog_items(id),
    catalog_bundle_id UUID REFERENCES catalog_bundles(id),
    catalog_version TEXT NOT NULL,
    instance_name VARCHAR(255) NOT NULL,
    instance_state VARCHAR(50) NOT NULL,
    owner_user_id VARCHAR(255) NOT NULL,
    owner_team VARCHAR(255) NOT NULL,
    owner_email VARCHAR(255),
    deployment_parameters JSONB NOT NULL,
    deployed_resources JSONB,
    service_outputs JSONB,
    service_metadata JSONB,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    provisioned_at TIMESTAMPTZ,
    decommissioned_at TIMESTAMPTZ,
    creation_request_id UUID REFERENCES service_requests(id) DEFERRABLE INITIALLY DEFERRED,
    last_update_request_id UUID REFERENCES service_requests(id) DEFERRABLE INITIALLY DEFERRED,
    slug TEXT GENERATED ALWAYS AS (slugify(instance_name)) STORED,
    version INT NOT NULL DEFAULT 1,
    CONSTRAINT check_service_instances_state CHECK (instance_state IN
        ('provisioning', 'active', 'updating', 'degraded', 'failed', 'decommissioning', 'decommissioned')),
    CONSTRAINT check_service_instances_name CHECK (char_length(instance_name) >= 1),
    CONSTRAINT check_service_instances_version CHECK (char_length(catalog_version) BETWEEN 1 AND 255),
    CONSTRAINT check_catalog_reference CHECK (
        (catalog_item_id IS NOT NULL AND catalog_bundle_id IS NULL) OR
        (catalog_item_id IS NULL AND catalog_bundle_id IS NOT NULL)
    )
);
-- People shorten ids: the UNIQUE key finds whole ones, this one beginnings.
CREATE INDEX idx_service_instances_instance_id_prefix ON service_instances(instance_id COLLATE "C");
-- idx_service_instances_state is the prefix of idx_service_instances_state_updated.
CREATE INDEX idx_service_instances_owner ON service_instances(owner_team, owner_user_id);
CREATE INDEX idx_service_instances_created_at ON service_instances(created_at DESC, id DESC);
CREATE INDEX idx_service_instances_catalog_item ON service_instances(catalog_item_id, created_at DESC, id DESC);
CREATE INDEX idx_service_instances_catalog_bundle ON service_instances(catalog_bundle_id, created_at DESC, id DESC);
CREATE INDEX idx_service_instances_name ON service_instances(instance_name);
CREATE INDEX idx_service_instances_state_updated ON service_instances(instance_state, updated_at DESC);
CREATE INDEX idx_service_instances_owner_state ON service_instances(owner_team, instance_state);
CREATE INDEX idx_service_instances_team_created ON service_instances(owner_team, created_at DESC, id DESC);
CREATE INDEX idx_service_instances_user_created ON service_instances(owner_user_id, created_at DESC, id DESC);
CREATE INDEX idx_service_instances_creation_request ON service_instances(creation_request_id);
CREATE INDEX idx_service_instances_provisioned ON service_instances(provisioned_at DESC)
    WHERE provisioned_at IS NOT NULL;

-- An instance as lists show and search it.
CREATE VIEW listed_instances AS
SELECT si.id, si.instance_id, si.instance_name, si.instance_state,
    coalesce(ci.name, cb.name) AS catalog_name,
    coalesce(ci.slug, cb.slug) AS catalog_slug,
    coalesce(ci.owner, cb.owner) AS document_owner,
    si.catalog_item_id, si.catalog_bundle_id, si.catalog_version,
    si.owner_user_id, si.owner_team, si.created_at, si.updated_at
FROM service_instances si
LEFT JOIN catalog_items ci ON ci.id = si.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = si.catalog_bundle_id;

ALTER TABLE service_requests
    ADD CONSTRAINT service_requests_target_instance_id_fkey FOREIGN KEY (target_instance_id)
        REFERENCES service_instances(id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT service_requests_subject_instance_id_fkey FOREIGN KEY (subject_instance_id)
        REFERENCES service_instances(id) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE bundle_instance_members (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    bundle_instance_id UUID NOT NULL REFERENCES service_instances(id) ON DELETE CASCADE,
    member_instance_id UUID NOT NULL REFERENCES service_instances(id) ON DELETE CASCADE,
    catalog_item_name VARCHAR(255) NOT NULL,
    is_required BOOLEAN NOT NULL DEFAULT TRUE,
    member_role VARCHAR(100),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    component_name TEXT,
    UNIQUE (bundle_instance_id, member_instance_id),
    CONSTRAINT check_bundle_members_not_itself CHECK (bundle_instance_id <> member_instance_id)
);
-- idx_bundle_members_bundle is the prefix of the UNIQUE key.
CREATE INDEX idx_bundle_members_member ON bundle_instance_members(member_instance_id);
CREATE INDEX idx_bundle_members_role ON bundle_instance_members(member_role) WHERE member_role IS NOT NULL;

CREATE TABLE service_instance_dependencies (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    dependent_instance_id UUID NOT NULL REFERENCES service_instances(id) ON DELETE CASCADE,
    provider_instance_id UUID NOT NULL REFERENCES service_instances(id) ON DELETE CASCADE,
    dependency_type VARCHAR(50) NOT NULL,
    dependency_name VARCHAR(255),
    dependency_config JSONB,
    is_required BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    UNIQUE (dependent_instance_id, provider_instance_id, dependency_type),
    CONSTRAINT check_dependencies_type CHECK (dependency_type IN ('data', 'network', 'authentication', 'configuration')),
    CONSTRAINT check_dependencies_not_itself CHECK (dependent_instance_id <> provider_instance_id)
);
-- idx_dependencies_dependent and idx_dependencies_provider are prefixes of these.
CREATE INDEX idx_dependencies_provider_required ON service_instance_dependencies(provider_instance_id, is_required);
CREATE INDEX idx_dependencies_dependent_required ON service_instance_dependencies(dependent_instance_id, is_required);

CREATE TABLE instance_version_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id UUID NOT NULL REFERENCES service_instances(id) ON DELETE CASCADE,
    from_version TEXT,
    to_version TEXT NOT NULL,
    upgrade_type VARCHAR(50) NOT NULL,
    upgrade_request_id UUID REFERENCES service_requests(id),
    upgrade_item_name VARCHAR(255),
    upgraded_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    upgrade_duration_seconds INT,
    upgrade_status VARCHAR(50) NOT NULL,
    rollback_available BOOLEAN DEFAULT FALSE,
    upgrade_notes TEXT,
    CONSTRAINT check_version_history_type CHECK (upgrade_type IN ('major', 'minor', 'patch', 'configuration')),
    CONSTRAINT check_version_history_status CHECK (upgrade_status IN ('success', 'failed', 'rolled_back')),
    CONSTRAINT check_version_history_versions CHECK
        (char_length(to_version) BETWEEN 1 AND 255 AND (from_version IS NULL OR char_length(from_version) <= 255))
);
CREATE INDEX idx_version_history_instance ON instance_version_history(instance_id, upgraded_at DESC);
CREATE INDEX idx_version_history_request ON instance_version_history(upgrade_request_id);
CREATE INDEX idx_version_history_instance_status ON instance_version_history(instance_id, upgrade_status);
CREATE INDEX idx_version_history_upgrade_item ON instance_version_history(upgrade_item_name)
    WHERE upgrade_item_name IS NOT NULL;

CREATE TABLE eligible_operations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id UUID NOT NULL REFERENCES service_instances(id) ON DELETE CASCADE,
    operation_type VARCHAR(50) NOT NULL,
    operation_name VARCHAR(255) NOT NULL,
    operation_version TEXT NOT NULL,
    eligibility_status VARCHAR(50) NOT NULL,
    eligibility_reason TEXT,
    evaluated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    expires_at TIMESTAMPTZ,
    UNIQUE (instance_id, operation_type, operation_name, operation_version),
    CONSTRAINT check_eligible_operations_type CHECK (operation_type IN ('update', 'upgrade')),
    CONSTRAINT check_eligible_operations_status CHECK (eligibility_status IN
        ('eligible', 'ineligible', 'completed', 'superseded'))
);
CREATE INDEX idx_eligible_ops_instance ON eligible_operations(instance_id, eligibility_status);
CREATE INDEX idx_eligible_ops_operation ON eligible_operations(operation_name);
CREATE INDEX idx_eligible_ops_status_expires ON eligible_operations(eligibility_status, expires_at);
CREATE INDEX idx_eligible_ops_evaluated ON eligible_operations(evaluated_at DESC);
