-- Somebody asks that a consumer takes an event once more that it could not handle.
ALTER TABLE parked_events ADD COLUMN retry_wanted BOOLEAN NOT NULL DEFAULT FALSE;
