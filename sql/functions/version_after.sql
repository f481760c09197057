-- The lowest core above all that share the first `p_parts` parts: of 1.2.3 and 2 it is 1.3.0.
CREATE OR REPLACE FUNCTION version_after(p_core NUMERIC[], p_parts INT) RETURNS NUMERIC[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE p_parts
    WHEN 1 THEN ARRAY[p_core[1] + 1, 0, 0]
    WHEN 2 THEN ARRAY[p_core[1], p_core[2] + 1, 0]
    ELSE ARRAY[p_core[1], p_core[2], p_core[3] + 1]
END;
