-- Brings the cache of eligible operations up to date for instances (NULL: all that live); returns what
-- became eligible by it (refresh_operations).
CREATE OR REPLACE FUNCTION refresh_eligible_operations(p_instance_ids UUID[] DEFAULT NULL)
RETURNS TABLE (
    instance_id UUID, operation_type VARCHAR, operation_name VARCHAR, operation_version VARCHAR
)
LANGUAGE sql VOLATILE AS $$
    SELECT * FROM refresh_operations(p_instance_ids, NULL)
$$;
