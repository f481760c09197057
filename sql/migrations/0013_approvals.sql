-- What a request waits for before it goes on: approvals, pre-execution checks, its maintenance window.

CREATE TABLE approvals (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id UUID NOT NULL REFERENCES service_requests(id) ON DELETE CASCADE,
    -- NULL: the document's own approval.
    step_id UUID REFERENCES request_steps(id) ON DELETE CASCADE,
    -- The component of a bundle whose document asks.
    component TEXT,
    -- The same question is asked once by it.
    key TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting',
    -- The rules as written, and the people and teams that they name.
    approvers JSONB NOT NULL,
    approver_users TEXT[] NOT NULL,
    approver_teams TEXT[] NOT NULL,
    needed INT NOT NULL,
    self_approval BOOLEAN NOT NULL DEFAULT FALSE,
    -- Who wants what is to be approved, if not the requester: neither of them may approve.
    asked_by TEXT,
    message TEXT,
    -- Fields that an approver fills, as written.
    fields JSONB NOT NULL DEFAULT '[]'::jsonb,
    -- What a failed request goes on with once it is approved.
    resumption JSONB,
    requested_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    expires_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    reminders INT NOT NULL DEFAULT 0,
    reminded_at TIMESTAMPTZ,
    CONSTRAINT uq_approvals_key UNIQUE (key),
    CONSTRAINT check_approvals_status CHECK (status IN ('waiting', 'approved', 'rejected', 'expired', 'withdrawn')),
    CONSTRAINT check_approvals_needed CHECK (needed >= 1),
    CONSTRAINT check_approvals_ended CHECK ((status = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX idx_approvals_request ON approvals(request_id, requested_at);
CREATE INDEX idx_approvals_waiting ON approvals(requested_at) WHERE status = 'waiting';
CREATE INDEX idx_approvals_expiring ON approvals(expires_at) WHERE status = 'waiting' AND expires_at IS NOT NULL;
CREATE INDEX idx_approvals_waiting_users ON approvals USING gin(approver_users) WHERE status = 'waiting';
CREATE INDEX idx_approvals_waiting_teams ON approvals USING gin(approver_teams) WHERE status = 'waiting';

-- Each person decides once, whatever rules name them.
CREATE TABLE approval_decisions (
    approval_id UUID NOT NULL REFERENCES approvals(id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT,
    -- What the approver filled in, secrets as references.
    fields JSONB,
    source TEXT NOT NULL,
    -- As the audit log names who acted ("U1", "cli:login as U1").
    decided_by TEXT NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (approval_id, user_id),
    CONSTRAINT check_approval_decisions_decision CHECK (decision IN ('approved', 'rejected')),
    CONSTRAINT check_approval_decisions_source CHECK (source IN ('slack', 'cli'))
);

-- What stands between a request and its first step, and when a worker is to look at it. The token grows
-- with each look: the outcome of an overtaken one is not taken.
ALTER TABLE service_requests ADD COLUMN gate TEXT;
ALTER TABLE service_requests ADD COLUMN gate_at TIMESTAMPTZ;
ALTER TABLE service_requests ADD COLUMN gate_token INT NOT NULL DEFAULT 0;
ALTER TABLE service_requests ADD COLUMN sequence_seconds DOUBLE PRECISION;
ALTER TABLE service_requests ADD CONSTRAINT check_service_requests_gate
    CHECK (gate IN ('checks', 'opening') AND gate_at IS NOT NULL OR gate IS NULL);
CREATE INDEX idx_service_requests_gate ON service_requests(gate_at) WHERE gate IS NOT NULL;

-- The pre-execution checks of the last round.
CREATE TABLE request_checks (
    request_id UUID NOT NULL REFERENCES service_requests(id) ON DELETE CASCADE,
    position INT NOT NULL,
    name TEXT NOT NULL,
    passed BOOLEAN NOT NULL,
    reason TEXT,
    checked_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request_id, position)
);

-- A request that is aborted once what its Terraform steps made is destroyed: the systems of the tickets that
-- are asked for then, {cleanup, completion}, NULL where none is wanted.
ALTER TABLE service_requests ADD COLUMN abort_tickets JSONB;
