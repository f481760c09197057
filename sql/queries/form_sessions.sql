-- name: insert_form_session
-- Keep a new form under way; returns its id.
INSERT INTO form_sessions (user_id, subject, state, ciphertext)
VALUES (%(user_id)s, %(subject)s, %(state)s, %(ciphertext)s)
RETURNING id::text;

-- name: update_form_session
-- Keep what was entered since, and put the expiry off; returns the id, nothing where it expired.
UPDATE form_sessions
SET state = %(state)s,
    ciphertext = %(ciphertext)s,
    updated_at = clock_timestamp(),
    expires_at = clock_timestamp() + INTERVAL '24 hours'
WHERE id = %(id)s AND user_id = %(user_id)s AND expires_at > clock_timestamp()
RETURNING id::text;

-- name: find_form_session
-- A person's form by its id.
SELECT id::text, user_id, subject, state, ciphertext, updated_at
FROM form_sessions
WHERE id = %(id)s AND user_id = %(user_id)s AND expires_at > clock_timestamp();

-- name: latest_form_session
-- The form about a subject that a person touched last.
SELECT id::text, user_id, subject, state, ciphertext, updated_at
FROM form_sessions
WHERE user_id = %(user_id)s AND subject = %(subject)s AND expires_at > clock_timestamp()
ORDER BY updated_at DESC
LIMIT 1;

-- name: delete_form_sessions
-- Forget every form of a person about a subject.
DELETE FROM form_sessions WHERE user_id = %(user_id)s AND subject = %(subject)s;

-- name: expire_form_sessions
-- Remove the forms that nobody came back to; returns how many.
WITH expired AS (
    DELETE FROM form_sessions WHERE expires_at <= clock_timestamp() RETURNING id
)
SELECT count(*)::int FROM expired;
