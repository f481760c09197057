-- Every active operation that targets an instance's item or bundle, with whether it may be run now
-- and, where not, why.
CREATE OR REPLACE FUNCTION evaluate_operations(p_instance_id UUID)
RETURNS TABLE (
    operation_type VARCHAR,
    operation_name VARCHAR,
    operation_version VARCHAR,
    description TEXT,
    destructive BOOLEAN,
    downtime_required BOOLEAN,
    estimated_duration VARCHAR,
    eligible BOOLEAN,
    reason TEXT
)
LANGUAGE sql STABLE AS $$
    SELECT operation_type, operation_name, operation_version, description, destructive,
        downtime_required, estimated_duration, status = 'eligible', reason
    FROM evaluate_instances(ARRAY[p_instance_id])
    ORDER BY operation_type, operation_name
$$;
