-- Promotes a member of a bundle whose component is done, with the parameters that it was made with.
-- False, and nothing changed, where it is not provisioning.
CREATE OR REPLACE FUNCTION activate_bundle_member(
    p_member_id UUID, p_outputs JSONB, p_resources JSONB, p_parameters JSONB
) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE service_instances SET deployment_parameters = p_parameters
    WHERE id = p_member_id AND instance_state = 'provisioning';
    RETURN activate_service_instance(p_member_id, p_outputs, p_resources);
END;
$$;
