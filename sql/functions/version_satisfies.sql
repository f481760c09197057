-- Whether a version is inside a range; no range (NULL) takes every version, an unreadable one none.
CREATE OR REPLACE FUNCTION version_satisfies(p_version TEXT, p_range TEXT) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN version_is_inside(semver_key(p_version), parse_version_range(p_range));
