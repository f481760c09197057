-- What is said again, or said once, as time passes: reminders of tickets, runs that take long, digests.

-- A webhook about a ticket makes it be asked for at once, and often for an hour.
ALTER TABLE manual_tickets ADD COLUMN nudged_at TIMESTAMPTZ;
ALTER TABLE manual_tickets ADD COLUMN reminders INT NOT NULL DEFAULT 0;
ALTER TABLE manual_tickets ADD COLUMN reminded_at TIMESTAMPTZ;
CREATE INDEX idx_manual_tickets_open ON manual_tickets(created_at) WHERE status IN ('open', 'in_progress');

-- That a run takes longer than its document expects is said once.
ALTER TABLE service_requests ADD COLUMN overrun_told BOOLEAN NOT NULL DEFAULT FALSE;

-- When an owner was last told of operations, and which ones they were told of.
CREATE TABLE digests (
    owner_user_id TEXT PRIMARY KEY,
    sent_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE eligible_operations ADD COLUMN told_at TIMESTAMPTZ;
