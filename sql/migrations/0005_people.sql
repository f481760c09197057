-- People, what they were shown, what they did, and what only they may read.

CREATE TABLE people (
    user_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT,
    time_zone TEXT,
    teams TEXT[] NOT NULL DEFAULT '{}',
    is_admin BOOLEAN NOT NULL DEFAULT FALSE,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    fetched_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX idx_people_teams ON people USING gin(teams);

-- Where a request is told of: its card and the thread under it.
CREATE TABLE conversations (
    request_id UUID PRIMARY KEY REFERENCES service_requests(id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    thread_ts TEXT NOT NULL,
    card_ts TEXT NOT NULL,
    card_hash TEXT,
    -- The events that the thread was told last, so that one delivered twice is told once.
    told_events BIGINT[] NOT NULL DEFAULT '{}',
    updated_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

-- A form under way: more than Slack's private_metadata can hold, encrypted.
CREATE TABLE form_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    state JSONB NOT NULL,
    ciphertext TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    expires_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp() + INTERVAL '24 hours'
);
CREATE INDEX idx_form_sessions_user ON form_sessions(user_id, subject);
CREATE INDEX idx_form_sessions_expires ON form_sessions(expires_at);

CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT,
    outcome TEXT NOT NULL DEFAULT 'done',
    before JSONB,
    after JSONB,
    reason TEXT,
    CONSTRAINT check_audit_log_outcome CHECK (outcome IN ('done', 'denied', 'failed'))
);
CREATE INDEX idx_audit_log_at ON audit_log(at DESC, id DESC);
CREATE INDEX idx_audit_log_target ON audit_log(target, id DESC) WHERE target IS NOT NULL;

CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

-- Secret parameters and outputs. JSON columns hold {"$secret": id} in their place.
CREATE TABLE encrypted_values (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    ciphertext TEXT NOT NULL,
    -- First 8 characters of the key's SHA-256: which rows still use an old key.
    key_id TEXT NOT NULL,
    -- What the value is for; stands inside the ciphertext too and is checked after decryption.
    purpose TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX idx_encrypted_values_key ON encrypted_values(key_id);
