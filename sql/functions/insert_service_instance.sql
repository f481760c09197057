-- Inserts an instance of a create under a new external id, which is drawn again when it is taken.
CREATE OR REPLACE FUNCTION insert_service_instance(p_instance service_instances) RETURNS UUID
LANGUAGE plpgsql AS $$
DECLARE
    c_tries CONSTANT INT := 20;
    v_id UUID;
BEGIN
    FOR _ IN 1..c_tries LOOP
        INSERT INTO service_instances (
            instance_id, catalog_item_id, catalog_bundle_id, catalog_version, instance_name,
            instance_state, owner_user_id, owner_team, owner_email, deployment_parameters,
            creation_request_id)
        VALUES (
            new_instance_id(), p_instance.catalog_item_id, p_instance.catalog_bundle_id,
            p_instance.catalog_version, p_instance.instance_name, 'provisioning',
            p_instance.owner_user_id, p_instance.owner_team, p_instance.owner_email,
            p_instance.deployment_parameters, p_instance.creation_request_id)
        ON CONFLICT (instance_id) DO NOTHING
        RETURNING id INTO v_id;
        EXIT WHEN v_id IS NOT NULL;
    END LOOP;
    IF v_id IS NULL THEN
        RAISE EXCEPTION 'No free instance id in % tries', c_tries USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO events (request_id, instance_id, kind, data)
    VALUES (p_instance.creation_request_id, v_id, 'instance.changed',
        jsonb_build_object('from', NULL, 'to', 'provisioning'));
    PERFORM pg_notify('pao_events', '');
    RETURN v_id;
END;
$$;
