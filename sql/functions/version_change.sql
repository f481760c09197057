-- The first part in which two versions differ: major, minor, patch (also when only the pre-release
-- does), else configuration. Lenient: missing parts are 0, what is no number is compared as text.
CREATE OR REPLACE FUNCTION version_change(p_from TEXT, p_to TEXT) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN p_from IS NULL THEN 'configuration'
        WHEN core_from[1] <> core_to[1] THEN 'major'
        WHEN coalesce(core_from[2], '0') <> coalesce(core_to[2], '0') THEN 'minor'
        WHEN coalesce(core_from[3], '0') <> coalesce(core_to[3], '0') THEN 'patch'
        WHEN pre_from <> pre_to THEN 'patch'
        ELSE 'configuration'
    END
    FROM (SELECT
        string_to_array(regexp_replace(p_from, '[-+].*$', ''), '.') AS core_from,
        string_to_array(regexp_replace(p_to, '[-+].*$', ''), '.') AS core_to,
        coalesce(substring(split_part(p_from, '+', 1) FROM '-.*$'), '') AS pre_from,
        coalesce(substring(split_part(p_to, '+', 1) FROM '-.*$'), '') AS pre_to) parts
$$;
