-- The plain comparisons that an operator with a whole or partial version stands for, as
-- node-semver has them; NULL when the version cannot be read.
CREATE OR REPLACE FUNCTION version_comparators(p_operator TEXT, p_version TEXT) RETURNS JSONB
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    c_part CONSTANT TEXT := '(0|[1-9][0-9]*|[xX*])';
    v_key TEXT := semver_key(p_version);
    v_found TEXT[];
    v_core NUMERIC[];
    v_given INT := 3;
    v_kept INT;
BEGIN
    IF v_key IS NOT NULL AND p_operator NOT IN ('^', '~') THEN
        RETURN jsonb_build_array(jsonb_build_object('op', p_operator, 'key', v_key));
    ELSIF v_key IS NOT NULL THEN
        v_core := string_to_array(substring(p_version FROM '^[0-9.]+'), '.')::numeric[];
    ELSE
        v_found := regexp_match(p_version, '^' || c_part || '(?:\.' || c_part || ')?(?:\.([xX*]))?$');
        IF v_found IS NULL OR length(p_version) > 255 THEN
            RETURN NULL;
        END IF;
        v_given := CASE WHEN v_found[1] !~ '^[0-9]' THEN 0
            WHEN v_found[2] IS NULL OR v_found[2] !~ '^[0-9]' THEN 1 ELSE 2 END;
        v_core := v_found[1:v_given]::numeric[] || array_fill(0::numeric, ARRAY[3 - v_given]);
        v_key := version_core_key(v_core) || '~';
    END IF;

    IF v_given = 0 THEN
        -- `*` is every release; nothing is above, below or other than that.
        RETURN CASE WHEN p_operator IN ('<', '>', '!=')
            THEN jsonb_build_array(jsonb_build_object('op', '<', 'key', version_core_key('{0,0,0}') || '-00010'))
            ELSE '[]'::jsonb END;
    END IF;

    v_kept := CASE p_operator
        WHEN '~' THEN least(v_given, 2)
        WHEN '^' THEN least(v_given, CASE WHEN v_core[1] > 0 THEN 1 WHEN v_core[2] > 0 THEN 2 ELSE 3 END)
        ELSE v_given
    END;
    RETURN CASE p_operator
        WHEN '>' THEN jsonb_build_array(
            jsonb_build_object('op', '>=', 'key', version_core_key(version_after(v_core, v_kept)) || '~'))
        WHEN '>=' THEN jsonb_build_array(jsonb_build_object('op', '>=', 'key', v_key))
        WHEN '<' THEN jsonb_build_array(
            jsonb_build_object('op', '<', 'key', version_core_key(v_core) || '-00010'))
        WHEN '<=' THEN jsonb_build_array(
            jsonb_build_object('op', '<', 'key', version_core_key(version_after(v_core, v_kept)) || '-00010'))
        WHEN '!=' THEN NULL
        ELSE jsonb_build_array(
            jsonb_build_object('op', '>=', 'key', v_key),
            jsonb_build_object('op', '<', 'key', version_core_key(version_after(v_core, v_kept)) || '-00010'))
    END;
END;
$$;
