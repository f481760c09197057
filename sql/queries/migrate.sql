-- name: lock
-- Wait until no other process migrates this database; two integers, since Terraform's pg backend takes one bigint.
SELECT pg_advisory_lock(%(space)s::int, %(key)s::int);

-- name: is_tracked
-- Say whether this database was ever migrated.
SELECT to_regclass('schema_migrations') IS NOT NULL;

-- name: applied
-- List the applied migrations.
SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version;

-- name: record
-- Remember an applied migration.
INSERT INTO schema_migrations (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s);

-- name: functions
-- List the functions' files with the checksum that was applied.
SELECT name, checksum FROM schema_functions;

-- name: record_function
-- Remember the checksum of a function's file.
INSERT INTO schema_functions (name, checksum)
VALUES (%(name)s, %(checksum)s)
ON CONFLICT (name) DO UPDATE SET checksum = EXCLUDED.checksum, applied_at = clock_timestamp();

-- name: trust_function_order
-- Let a function name one whose file comes later, for this transaction.
SELECT set_config('check_function_bodies', 'off', true);
