-- Whether an attempt that failed is worth repeating: what its error was, beside what it is called.
ALTER TABLE step_attempts ADD COLUMN error_kind TEXT;
ALTER TABLE step_attempts ADD CONSTRAINT check_step_attempts_error_kind
    CHECK (error_kind IN ('transient', 'permanent', 'unknown'));
