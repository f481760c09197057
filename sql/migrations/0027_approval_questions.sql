-- Messages with the buttons of an approval: once it is decided the buttons are taken away.
CREATE TABLE approval_questions (
    channel TEXT NOT NULL,
    ts TEXT NOT NULL,
    request_id UUID NOT NULL REFERENCES service_requests(id) ON DELETE CASCADE,
    -- The step whose approval it is; NULL: the document's own.
    step_id TEXT,
    markup TEXT NOT NULL,
    is_direct BOOLEAN NOT NULL,
    PRIMARY KEY (channel, ts)
);
CREATE INDEX idx_approval_questions_request ON approval_questions(request_id);
