-- name: insert_entry
-- Write who did what to what.
INSERT INTO audit_log (actor, action, target, outcome, before, after, reason)
VALUES (%(actor)s, %(action)s, %(target)s, %(outcome)s, %(before)s, %(after)s, %(reason)s);

-- name: entries
-- A page of the log, newest first, from before an id.
SELECT id, at, actor, action, target, outcome, before, after, reason
FROM audit_log WHERE id < %(before)s ORDER BY id DESC LIMIT %(limit)s;

-- name: entries_of_target
-- A page of what was done to one thing, newest first, from before an id.
SELECT id, at, actor, action, target, outcome, before, after, reason
FROM audit_log WHERE target = %(target)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s;

-- name: expire
-- Delete lines older than a moment; how many they were.
SELECT expire_audit_log(%(before)s, %(actor)s);

-- name: switch
-- Whether a switch is on.
SELECT is_on FROM switches WHERE name = %(name)s;

-- name: turn
-- Turn a switch on or off.
INSERT INTO switches (name, is_on, changed_by) VALUES (%(name)s, %(is_on)s, %(by)s)
ON CONFLICT (name) DO UPDATE
SET is_on = EXCLUDED.is_on, changed_by = EXCLUDED.changed_by, changed_at = clock_timestamp();
