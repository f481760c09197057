-- A step that was hurried while a worker was just looking at it is due again as soon as it is given back: what
-- that worker saw may be older than what the hurry was about. The finish knows nothing of it, and pays nothing.
CREATE OR REPLACE FUNCTION honour_nudge() RETURNS TRIGGER
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE request_steps SET next_run_at = clock_timestamp()
    WHERE id = NEW.id AND lease_owner IS NULL AND next_run_at > clock_timestamp();
    PERFORM pg_notify('pao_steps', 'steps');
    RETURN NULL;
END;
$$;

CREATE OR REPLACE TRIGGER honour_nudge AFTER UPDATE ON request_steps
FOR EACH ROW
WHEN (OLD.nudged_token = OLD.lease_token AND OLD.lease_owner IS NOT NULL AND NEW.lease_owner IS NULL
      AND NEW.status IN ('running', 'verifying') AND NEW.next_run_at IS NOT NULL)
EXECUTE FUNCTION honour_nudge();
