-- A version range as data: a list of choices, each a list of {"op", "key"} (semver_key) that a
-- version must all meet. `[]`, which nothing meets, for a range that cannot be read; JSON null,
-- which everything meets, for no range. The grammar is that of engine/catalog/versions.py, which
-- has the messages for people.
CREATE OR REPLACE FUNCTION parse_version_range(p_range TEXT) RETURNS JSONB
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    c_comparison CONSTANT TEXT := '^(\^|~|!=|>=|<=|>|<|=)?\s*([^\s,|]+)(?:(\s+-\s+)([^\s,|]*))?';
    v_choices JSONB := '[]';
    v_choice JSONB;
    v_rest TEXT;
    v_found TEXT[];
    v_comparators JSONB;
BEGIN
    IF p_range IS NULL THEN
        RETURN 'null';
    END IF;
    -- An empty string splits into nothing, and is one choice without comparisons.
    FOREACH v_rest IN ARRAY CASE p_range WHEN '' THEN ARRAY[''] ELSE string_to_array(p_range, '||') END LOOP
        v_choice := '[]';
        v_rest := regexp_replace(v_rest, '^\s+', '');
        WHILE v_rest <> '' LOOP
            v_found := regexp_match(v_rest, c_comparison);
            IF v_found IS NULL THEN
                RETURN '[]';
            END IF;
            IF v_found[1] IS NULL AND v_found[3] IS NOT NULL THEN
                v_comparators := version_comparators('>=', v_found[2]) || version_comparators('<=', v_found[4]);
            ELSE
                v_comparators := version_comparators(coalesce(v_found[1], '='), v_found[2]);
            END IF;
            IF v_comparators IS NULL THEN
                RETURN '[]';
            END IF;
            v_choice := v_choice || v_comparators;
            v_rest := regexp_replace(v_rest, CASE
                WHEN v_found[1] IS NULL THEN c_comparison
                ELSE '^(\^|~|!=|>=|<=|>|<|=)\s*[^\s,|]+' END, '');
            v_rest := regexp_replace(v_rest, '^\s+', '');
            IF v_rest ~ '^,' THEN
                v_rest := regexp_replace(v_rest, '^,\s*', '');
                IF v_rest = '' THEN
                    RETURN '[]';
                END IF;
            END IF;
        END LOOP;
        v_choices := v_choices || jsonb_build_array(v_choice);
    END LOOP;
    RETURN v_choices;
END;
$$;
