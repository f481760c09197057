-- What an instance needs (providers), what needs it (dependents), or both.
CREATE OR REPLACE FUNCTION get_instance_dependencies(
    p_instance_id UUID, p_direction VARCHAR DEFAULT 'both'
)
RETURNS TABLE (
    relationship VARCHAR,
    instance_id UUID,
    instance_name VARCHAR,
    instance_state VARCHAR,
    dependency_type VARCHAR,
    dependency_name VARCHAR,
    is_required BOOLEAN
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_direction IS NULL OR p_direction NOT IN ('providers', 'dependents', 'both') THEN
        RAISE EXCEPTION 'Unknown direction %', coalesce(p_direction, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use providers, dependents or both';
    END IF;
    RETURN QUERY
    SELECT edge.relationship::VARCHAR, si.id, si.instance_name, si.instance_state,
        edge.dependency_type, edge.dependency_name, edge.is_required
    FROM (
        SELECT 'provider' AS relationship, d.provider_instance_id AS other_id, d.*
        FROM service_instance_dependencies d
        WHERE d.dependent_instance_id = p_instance_id AND p_direction <> 'dependents'
        UNION ALL
        SELECT 'dependent', d.dependent_instance_id, d.*
        FROM service_instance_dependencies d
        WHERE d.provider_instance_id = p_instance_id AND p_direction <> 'providers'
    ) edge
    JOIN service_instances si ON si.id = edge.other_id
    ORDER BY edge.relationship DESC, si.instance_name, si.id, edge.dependency_type;
END;
$$;
