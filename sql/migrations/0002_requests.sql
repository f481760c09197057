-- Requests, their steps and attempts, the tickets that stand in for steps that failed.
-- The keys between requests and instances are circular: they come in 0003, deferrable.

CREATE TABLE service_requests (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id VARCHAR(100) NOT NULL UNIQUE,
    request_type VARCHAR(50) NOT NULL,
    catalog_item_id UUID REFERENCES catalog_items(id),
    catalog_bundle_id UUID REFERENCES catalog_bundles(id),
    update_item_id UUID REFERENCES update_items(id),
    upgrade_item_id UUID REFERENCES upgrade_items(id),
    target_instance_id UUID,
    catalog_version TEXT NOT NULL,
    status VARCHAR(50) NOT NULL,
    parameters JSONB NOT NULL,
    requester_user_id VARCHAR(255) NOT NULL,
    requester_team VARCHAR(255),
    requester_email VARCHAR(255),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    completed_at TIMESTAMPTZ,
    -- The instance that the request is about: the reserved one of a create, else the target.
    subject_instance_id UUID,
    idempotency_key TEXT,
    -- Hash of the submission's contents: the same key with other contents is refused.
    submission_hash TEXT,
    title TEXT,
    source TEXT NOT NULL DEFAULT 'cli',
    -- Who acted, as the audit log names them ("U1", "cli:login as U1").
    submitted_by TEXT,
    -- The channel where the command was used, if any.
    origin_channel TEXT,
    catalog_commit VARCHAR(64),
    -- The document as it stood when the request was made: a later sync changes no request in flight.
    plan JSONB NOT NULL DEFAULT '{}'::jsonb,
    not_before TIMESTAMPTZ,
    window_ends_at TIMESTAMPTZ,
    timeout_at TIMESTAMPTZ,
    reason TEXT,
    version INT NOT NULL DEFAULT 1,
    -- The state of the target, and of a bundle's members by their ids, before this request moved them.
    instance_state_before TEXT,
    member_states_before JSONB,
    rolled_back BOOLEAN NOT NULL DEFAULT FALSE,
    -- Steps that are neither completed, failed nor skipped.
    open_steps INT NOT NULL DEFAULT 0,
    failed_steps INT NOT NULL DEFAULT 0,
    traceparent TEXT,
    CONSTRAINT uq_service_requests_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT check_service_requests_type CHECK (request_type IN ('create', 'update', 'upgrade', 'decommission')),
    CONSTRAINT check_service_requests_status CHECK (status IN
        ('submitted', 'validating', 'in_progress', 'completed', 'failed', 'cancelled', 'resuming', 'aborted')),
    CONSTRAINT check_service_requests_source CHECK (source IN ('slack', 'cli')),
    CONSTRAINT check_service_requests_open_steps CHECK (open_steps >= 0),
    CONSTRAINT check_service_requests_version CHECK (char_length(catalog_version) BETWEEN 1 AND 255),
    CONSTRAINT check_request_type_reference CHECK (
        CASE request_type
            WHEN 'create' THEN
                (catalog_item_id IS NOT NULL) <> (catalog_bundle_id IS NOT NULL) AND
                update_item_id IS NULL AND upgrade_item_id IS NULL AND target_instance_id IS NULL
            WHEN 'update' THEN
                update_item_id IS NOT NULL AND target_instance_id IS NOT NULL AND
                catalog_item_id IS NULL AND catalog_bundle_id IS NULL AND upgrade_item_id IS NULL
            WHEN 'upgrade' THEN
                upgrade_item_id IS NOT NULL AND target_instance_id IS NOT NULL AND
                catalog_item_id IS NULL AND catalog_bundle_id IS NULL AND update_item_id IS NULL
            WHEN 'decommission' THEN
                target_instance_id IS NOT NULL AND
                catalog_item_id IS NULL AND catalog_bundle_id IS NULL AND
                update_item_id IS NULL AND upgrade_item_id IS NULL
            ELSE FALSE
        END
    )
);
CREATE INDEX idx_service_requests_created_at ON service_requests(created_at DESC, id DESC);
CREATE INDEX idx_service_requests_target_instance ON service_requests(target_instance_id);
CREATE INDEX idx_service_requests_type ON service_requests(request_type);
-- idx_service_requests_requester is the prefix of this one.
CREATE INDEX idx_service_requests_user_created ON service_requests(requester_user_id, created_at DESC, id DESC);
CREATE INDEX idx_service_requests_team_created ON service_requests(requester_team, created_at DESC, id DESC);
CREATE INDEX idx_service_requests_status ON service_requests(status, created_at DESC, id DESC);
CREATE INDEX idx_service_requests_timeout ON service_requests(timeout_at)
    WHERE timeout_at IS NOT NULL AND status = 'in_progress';
-- One active request per instance; the engine reports a violation by this name.
CREATE UNIQUE INDEX uq_service_requests_active_subject ON service_requests(subject_instance_id)
    WHERE status IN ('submitted', 'validating', 'in_progress', 'resuming') AND subject_instance_id IS NOT NULL;
CREATE INDEX idx_service_requests_subject ON service_requests(subject_instance_id, created_at DESC);

CREATE TABLE request_steps (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id UUID NOT NULL REFERENCES service_requests(id) ON DELETE CASCADE,
    step_id VARCHAR(255) NOT NULL,
    step_name VARCHAR(255) NOT NULL,
    step_type VARCHAR(50) NOT NULL,
    step_config JSONB NOT NULL,
    status VARCHAR(50) NOT NULL DEFAULT 'pending',
    position INT NOT NULL,
    depends_on TEXT[],
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    outputs JSONB,
    component TEXT,
    section TEXT NOT NULL DEFAULT 'automation',
    -- How many of depends_on are not done yet; 0 and a next_run_at make a step claimable.
    waiting_on INT NOT NULL DEFAULT 0,
    -- NULL while the request is not in progress.
    next_run_at TIMESTAMPTZ,
    phase TEXT NOT NULL DEFAULT 'start',
    lease_owner TEXT,
    -- Grows with every claim; each later write of the claimer must match it.
    lease_token BIGINT NOT NULL DEFAULT 0,
    lease_expires_at TIMESTAMPTZ,
    attempt_count INT NOT NULL DEFAULT 0,
    -- Attempts that used up the budget of the present group.
    group_attempts INT NOT NULL DEFAULT 0,
    attempt_group INT NOT NULL DEFAULT 1,
    losses INT NOT NULL DEFAULT 0,
    poll_count INT NOT NULL DEFAULT 0,
    -- When the present attempt is over at the latest.
    attempt_deadline TIMESTAMPTZ,
    skip_reason TEXT,
    skip_verification BOOLEAN NOT NULL DEFAULT FALSE,
    -- Resources that the step's last successful attempt reported: [{address, type, id}].
    resources JSONB,
    -- What is needed to go on after a crash; each step type knows its own keys.
    external JSONB NOT NULL DEFAULT '{}'::jsonb,
    UNIQUE (request_id, step_id),
    CONSTRAINT check_request_steps_status CHECK (status IN
        ('pending', 'running', 'verifying', 'completed', 'failed', 'skipped', 'retrying')),
    CONSTRAINT check_request_steps_phase CHECK (phase IN ('start', 'poll', 'verify', 'cancel')),
    CONSTRAINT check_request_steps_section CHECK (section IN ('automation', 'rollback', 'decommission', 'cleanup')),
    CONSTRAINT check_request_steps_skip_reason CHECK (skip_reason IN ('condition', 'dependency', 'manual', 'aborted')),
    CONSTRAINT check_request_steps_skipped CHECK ((status = 'skipped') = (skip_reason IS NOT NULL)),
    CONSTRAINT check_request_steps_lease CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT check_request_steps_finished CHECK
        (status NOT IN ('completed', 'failed', 'skipped') OR (lease_owner IS NULL AND next_run_at IS NULL)),
    CONSTRAINT check_request_steps_waiting_on CHECK (waiting_on >= 0)
);
-- idx_request_steps_request_id is the prefix of idx_request_steps_request_status and of the UNIQUE key.
CREATE INDEX idx_request_steps_status ON request_steps(status);
CREATE INDEX idx_request_steps_request_status ON request_steps(request_id, status);
-- The claim's only index: what is due.
CREATE INDEX idx_request_steps_due ON request_steps(next_run_at)
    WHERE waiting_on = 0 AND lease_owner IS NULL AND next_run_at IS NOT NULL;
CREATE INDEX idx_request_steps_leased ON request_steps(lease_expires_at) WHERE lease_owner IS NOT NULL;

CREATE TABLE step_attempts (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    step_id UUID NOT NULL REFERENCES request_steps(id) ON DELETE CASCADE,
    attempt_number INT NOT NULL,
    status VARCHAR(50) NOT NULL,
    started_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    completed_at TIMESTAMPTZ,
    error_type VARCHAR(100),
    error_message TEXT,
    error_details JSONB,
    logs_url TEXT,
    external_job_id VARCHAR(255),
    external_job_url TEXT,
    verification_result JSONB,
    -- The rendered template, secrets redacted.
    parameters JSONB,
    lease_token BIGINT,
    attempt_group INT NOT NULL DEFAULT 1,
    UNIQUE (step_id, attempt_number),
    CONSTRAINT check_step_attempts_status CHECK (status IN ('running', 'completed', 'failed'))
);
-- idx_step_attempts_step_id is the prefix of the UNIQUE key.
CREATE INDEX idx_step_attempts_external_job ON step_attempts(external_job_id) WHERE external_job_id IS NOT NULL;

CREATE TABLE attempt_logs (
    attempt_id UUID NOT NULL REFERENCES step_attempts(id) ON DELETE CASCADE,
    chunk INT NOT NULL,
    text TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (attempt_id, chunk)
);

CREATE TABLE manual_tickets (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id UUID NOT NULL REFERENCES service_requests(id),
    step_id UUID REFERENCES request_steps(id),
    ticket_system VARCHAR(50) NOT NULL,
    ticket_id VARCHAR(255) NOT NULL,
    ticket_url TEXT,
    ticket_type VARCHAR(50),
    status VARCHAR(50) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    resolved_at TIMESTAMPTZ,
    summary TEXT,
    idempotency_key TEXT,
    next_poll_at TIMESTAMPTZ,
    poll_count INT NOT NULL DEFAULT 0,
    external_status TEXT,
    -- What the ticket system's module needs to follow the ticket (a status address, say).
    external JSONB NOT NULL DEFAULT '{}'::jsonb,
    CONSTRAINT uq_manual_tickets_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT check_manual_tickets_type CHECK (ticket_type IN ('fulfillment', 'cleanup', 'completion')),
    CONSTRAINT check_manual_tickets_status CHECK (status IN ('open', 'in_progress', 'resolved', 'closed'))
);
CREATE INDEX idx_manual_tickets_request_id ON manual_tickets(request_id);
CREATE INDEX idx_manual_tickets_ticket_id ON manual_tickets(ticket_id);
CREATE INDEX idx_manual_tickets_poll ON manual_tickets(next_poll_at) WHERE next_poll_at IS NOT NULL;
