-- The part of semver_key that major, minor and patch make; `~` makes it a release, `-00010` its
-- lowest pre-release (`-0`).
CREATE OR REPLACE FUNCTION version_core_key(p_core NUMERIC[]) RETURNS TEXT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN semver_number_key(p_core[1]::text) || semver_number_key(p_core[2]::text)
    || semver_number_key(p_core[3]::text);
