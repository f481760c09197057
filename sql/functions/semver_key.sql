-- Text whose order under COLLATE "C" is the precedence of semantic versions (semver 2.0.0, §11);
-- NULL for what is no version. Build metadata leaves no trace in it.
--
-- Each number is its count of digits (three of them) and its digits, so numbers of any length
-- compare. After the three of the core stands `~` for a release, `-` for a pre-release, which is
-- lower. Its identifiers are `0` and a number, or `1`, the text and a blank, lower than every
-- character of an identifier; so numbers come before words and a shorter list before a longer.
CREATE OR REPLACE FUNCTION semver_key(p_version TEXT) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    c_number CONSTANT TEXT := '(0|[1-9][0-9]*)';
    c_identifier CONSTANT TEXT := '(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)';
    v_part TEXT[];
    v_key TEXT;
    v_identifier TEXT;
BEGIN
    v_part := regexp_match(p_version COLLATE "C", '^' || c_number || '\.' || c_number || '\.' || c_number
        || '(?:-(' || c_identifier || '(?:\.' || c_identifier || ')*))?'
        || '(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$');
    IF v_part IS NULL OR length(p_version) > 255 THEN
        RETURN NULL;
    END IF;
    v_key := semver_number_key(v_part[1]) || semver_number_key(v_part[2]) || semver_number_key(v_part[3]);
    IF v_part[4] IS NULL THEN
        RETURN v_key || '~';
    END IF;
    v_key := v_key || '-';
    FOREACH v_identifier IN ARRAY string_to_array(v_part[4], '.') LOOP
        v_key := v_key || CASE
            WHEN v_identifier COLLATE "C" ~ '^[0-9]+$' THEN '0' || semver_number_key(v_identifier)
            ELSE '1' || v_identifier || ' '
        END;
    END LOOP;
    RETURN v_key;
END;
$$;
