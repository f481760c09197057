-- The lease under which somebody said that the step's outside job has moved on: it is asked for once more as
-- soon as that lease ends (sql/functions/honour_nudge.sql). Under any other token it says nothing.
ALTER TABLE request_steps ADD COLUMN nudged_token BIGINT;
