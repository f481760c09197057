-- name: insert_secrets
-- Keep ciphertexts: [{id, ciphertext, key_id, purpose}].
INSERT INTO encrypted_values (id, ciphertext, key_id, purpose)
SELECT id, ciphertext, key_id, purpose
FROM jsonb_to_recordset(%(secrets)s) AS secret(id UUID, ciphertext TEXT, key_id TEXT, purpose TEXT);

-- name: secrets_by_id
-- Read ciphertexts.
SELECT id, ciphertext, key_id, purpose FROM encrypted_values WHERE id = ANY (%(ids)s);

-- name: secrets_under_other_keys
-- A batch of the ciphertexts that a key did not make, in the order of their ids.
SELECT id, ciphertext, key_id, purpose FROM encrypted_values
WHERE key_id <> %(key_id)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s FOR UPDATE;

-- name: replace_ciphertexts
-- Put new ciphertexts in the place of old ones: [{id, ciphertext, key_id}].
UPDATE encrypted_values AS kept SET ciphertext = new.ciphertext, key_id = new.key_id
FROM jsonb_to_recordset(%(secrets)s) AS new(id UUID, ciphertext TEXT, key_id TEXT)
WHERE kept.id = new.id;
