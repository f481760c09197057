-- Makes the instance of a completed create: promotes the reserved one, or inserts it where none was
-- reserved. Called again it returns the same instance and changes nothing.
CREATE OR REPLACE FUNCTION create_service_instance(
    p_request_id UUID, p_instance_name VARCHAR, p_outputs JSONB, p_resources JSONB
) RETURNS UUID
LANGUAGE plpgsql AS $$
DECLARE
    v_request service_requests;
    v_instance_id UUID;
BEGIN
    SELECT * INTO v_request FROM service_requests
    WHERE id = p_request_id AND status = 'completed'
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Request % not found or not completed', p_request_id
            USING ERRCODE = 'no_data_found';
    END IF;
    v_instance_id := reserve_service_instance(p_request_id, p_instance_name);
    -- A resume may have changed the parameters since the instance was reserved.
    UPDATE service_instances
    SET instance_name = coalesce(p_instance_name, instance_name),
        catalog_version = v_request.catalog_version,
        deployment_parameters = v_request.parameters
    WHERE id = v_instance_id AND instance_state = 'provisioning';
    PERFORM activate_service_instance(v_instance_id, p_outputs, p_resources);
    RETURN v_instance_id;
END;
$$;
