-- Promotes an instance from provisioning to active with what its steps gave; the way of a bundle's
-- members, and of create_service_instance. False, and nothing changed, in any other state.
CREATE OR REPLACE FUNCTION activate_service_instance(
    p_instance_id UUID, p_outputs JSONB, p_resources JSONB
) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
DECLARE
    v_request_id UUID;
BEGIN
    UPDATE service_instances
    SET service_outputs = p_outputs, deployed_resources = p_resources
    WHERE id = p_instance_id AND instance_state = 'provisioning'
    RETURNING creation_request_id INTO v_request_id;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    PERFORM set_instance_states(jsonb_build_object(p_instance_id, 'active'), v_request_id);
    RETURN TRUE;
END;
$$;
