-- What the completed steps of a request gave, later steps over earlier ones; of one component, or of
-- all (NULL).
CREATE OR REPLACE FUNCTION outputs_of_steps(p_request_id UUID, p_component TEXT DEFAULT NULL)
RETURNS JSONB
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(output.key, output.value ORDER BY s.position), '{}')
    FROM request_steps s
    CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(s.outputs)
        WHEN 'object' THEN s.outputs ELSE '{}' END) AS output
    WHERE s.request_id = p_request_id AND s.section = 'automation' AND s.status = 'completed'
      AND (p_component IS NULL OR s.component = p_component)
$$;
