-- name: insert_secrets
-- Keep ciphertexts: [{id, ciphertext, key_id, purpose}].
INSERT INTO encrypted_values (id, ciphertext, key_id, purpose)
SELECT id, ciphertext, key_id, purpose
FROM jsonb_to_recordset(%(secrets)s) AS secret(id UUID, ciphertext TEXT, key_id TEXT, purpose TEXT);

-- name: secrets_by_id
-- Read ciphertexts.
SELECT id, ciphertext, key_id, purpose FROM encrypted_values WHERE id = ANY (%(ids)s);
