-- name: person
-- One person of the directory.
SELECT user_id, name, email, time_zone, teams, is_admin, is_active,
       clock_timestamp() - fetched_at > %(fresh)s::interval AS is_stale
FROM people WHERE user_id = %(user_id)s;

-- name: has_people
-- Whether anybody is in the directory: not before Slack was connected.
SELECT EXISTS (SELECT FROM people);

-- name: keep_person
-- Add a person, or replace what was known.
INSERT INTO people (user_id, name, email, time_zone, teams, is_admin, is_active)
VALUES (%(user_id)s, %(name)s, %(email)s, %(time_zone)s, %(teams)s, %(is_admin)s, %(is_active)s)
ON CONFLICT (user_id) DO UPDATE SET
    name = EXCLUDED.name, email = EXCLUDED.email, time_zone = EXCLUDED.time_zone,
    teams = EXCLUDED.teams, is_admin = EXCLUDED.is_admin, is_active = EXCLUDED.is_active,
    fetched_at = clock_timestamp();
