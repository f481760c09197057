-- What judge_operations says of instances; NULL: of all that live.
CREATE OR REPLACE FUNCTION evaluate_instances(p_instance_ids UUID[])
RETURNS TABLE (
    instance_id UUID,
    operation_type VARCHAR,
    operation_name VARCHAR,
    operation_version VARCHAR,
    description TEXT,
    destructive BOOLEAN,
    downtime_required BOOLEAN,
    estimated_duration VARCHAR,
    status VARCHAR,
    reason TEXT
)
LANGUAGE sql STABLE ROWS 10000 AS $$
    SELECT * FROM judge_operations(p_instance_ids, NULL)
$$;
