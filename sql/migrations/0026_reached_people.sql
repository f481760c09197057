-- Who was written to about an event that others have still to be told of: whoever goes on writes to these no more.
ALTER TABLE untold_events ADD COLUMN reached TEXT[] NOT NULL DEFAULT '{}';
