-- Whether the version of a semver_key meets comparators (parse_version_range). A pre-release is
-- inside a choice only where that names a pre-release of the same major.minor.patch.
CREATE OR REPLACE FUNCTION version_is_inside(p_key TEXT, p_comparators JSONB) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN p_comparators = 'null' THEN TRUE
        WHEN p_key IS NULL THEN FALSE
        ELSE EXISTS (
            SELECT FROM jsonb_array_elements(p_comparators) AS choice
            WHERE NOT EXISTS (
                SELECT FROM jsonb_to_recordset(choice.value) AS c(op TEXT, key TEXT COLLATE "C")
                WHERE NOT CASE c.op
                    WHEN '=' THEN p_key = c.key
                    WHEN '!=' THEN p_key <> c.key
                    WHEN '>' THEN p_key COLLATE "C" > c.key
                    WHEN '>=' THEN p_key COLLATE "C" >= c.key
                    WHEN '<' THEN p_key COLLATE "C" < c.key
                    WHEN '<=' THEN p_key COLLATE "C" <= c.key
                END
            )
            AND (p_key LIKE '%~' OR EXISTS (
                SELECT FROM jsonb_to_recordset(choice.value) AS c(key TEXT)
                WHERE starts_with(c.key, substring(p_key FROM '^[0-9]+-'))
            ))
        )
    END
$$;
