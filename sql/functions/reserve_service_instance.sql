-- Makes the instance of a create at its submission, in state provisioning; called again it returns
-- the same instance. Who has no team owns it as `personal:<user id>`.
CREATE OR REPLACE FUNCTION reserve_service_instance(p_request_id UUID, p_instance_name VARCHAR)
RETURNS UUID
LANGUAGE plpgsql AS $$
DECLARE
    v_request service_requests;
    v_instance service_instances;
BEGIN
    SELECT * INTO v_request FROM service_requests WHERE id = p_request_id FOR NO KEY UPDATE;
    IF NOT FOUND OR v_request.request_type <> 'create' THEN
        RAISE EXCEPTION 'Request % does not exist or is not a create', p_request_id
            USING ERRCODE = 'no_data_found';
    END IF;
    IF v_request.subject_instance_id IS NOT NULL THEN
        RETURN v_request.subject_instance_id;
    END IF;
    v_instance.catalog_item_id := v_request.catalog_item_id;
    v_instance.catalog_bundle_id := v_request.catalog_bundle_id;
    v_instance.catalog_version := v_request.catalog_version;
    v_instance.instance_name := p_instance_name;
    v_instance.owner_user_id := v_request.requester_user_id;
    v_instance.owner_team := coalesce(v_request.requester_team, 'personal:' || v_request.requester_user_id);
    v_instance.owner_email := v_request.requester_email;
    v_instance.deployment_parameters := v_request.parameters;
    v_instance.creation_request_id := p_request_id;
    v_instance.id := insert_service_instance(v_instance);
    UPDATE service_requests SET subject_instance_id = v_instance.id WHERE id = p_request_id;
    RETURN v_instance.id;
END;
$$;
