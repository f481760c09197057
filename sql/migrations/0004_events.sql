-- What happened (events), what must still be done outside (outbox), who may act once (leaders, switches).

-- A reader takes only events whose transaction is older than every running one, so a late commit is never
-- passed over: the window is by transaction_id, the order within it by id.
CREATE TABLE events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    request_id UUID REFERENCES service_requests(id) ON DELETE CASCADE,
    step_id UUID REFERENCES request_steps(id) ON DELETE CASCADE,
    instance_id UUID REFERENCES service_instances(id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    data JSONB NOT NULL DEFAULT '{}'::jsonb,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX idx_events_transaction ON events(transaction_id, id);
CREATE INDEX idx_events_request ON events(request_id, id) WHERE request_id IS NOT NULL;
CREATE INDEX idx_events_instance ON events(instance_id, id) WHERE instance_id IS NOT NULL;
CREATE INDEX idx_events_at ON events(at);

CREATE TABLE consumers (
    name TEXT PRIMARY KEY,
    -- Events of transactions in [window_from, window_to) with an id above last_event_id come next.
    window_from xid8 NOT NULL,
    window_to xid8 NOT NULL,
    last_event_id BIGINT NOT NULL DEFAULT 0,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT check_consumers_window CHECK (window_from <= window_to)
);

-- Events that a consumer could not handle: visible, and never in the way of the rest.
CREATE TABLE parked_events (
    consumer TEXT NOT NULL REFERENCES consumers(name) ON DELETE CASCADE,
    event_id BIGINT NOT NULL REFERENCES events(id) ON DELETE CASCADE,
    error TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, event_id)
);

CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    payload JSONB NOT NULL,
    request_id UUID REFERENCES service_requests(id) ON DELETE CASCADE,
    step_id UUID REFERENCES request_steps(id) ON DELETE CASCADE,
    due TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    attempts INT NOT NULL DEFAULT 0,
    last_error TEXT,
    done_at TIMESTAMPTZ,
    cancelled BOOLEAN NOT NULL DEFAULT FALSE,
    lease_owner TEXT,
    lease_token BIGINT NOT NULL DEFAULT 0,
    lease_expires_at TIMESTAMPTZ,
    key TEXT NOT NULL,
    CONSTRAINT uq_outbox_key UNIQUE (key),
    CONSTRAINT check_outbox_lease CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL))
);
CREATE INDEX idx_outbox_due ON outbox(due) WHERE done_at IS NULL;
CREATE INDEX idx_outbox_request ON outbox(request_id) WHERE request_id IS NOT NULL;

CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    is_on BOOLEAN NOT NULL,
    changed_by TEXT,
    changed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

-- One row a periodic job: who moved next_at forward runs it.
CREATE TABLE leaders (
    job TEXT PRIMARY KEY,
    next_at TIMESTAMPTZ NOT NULL,
    owner TEXT,
    last_run_at TIMESTAMPTZ
);
