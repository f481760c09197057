-- The operations that may be run on an instance now.
CREATE OR REPLACE FUNCTION get_eligible_operations(p_instance_id UUID)
RETURNS TABLE (
    operation_type VARCHAR,
    operation_name VARCHAR,
    operation_version VARCHAR,
    description TEXT,
    destructive BOOLEAN,
    downtime_required BOOLEAN,
    estimated_duration VARCHAR
)
LANGUAGE sql STABLE AS $$
    SELECT operation_type, operation_name, operation_version, description, destructive,
        downtime_required, estimated_duration
    FROM evaluate_operations(p_instance_id)
    WHERE eligible
$$;
