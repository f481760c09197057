-- What an update or upgrade that the engine planned leaves on its instance, however it ended.
--
--   success       outputs merged, parameters replaced by what was asked, the version moved
--   in any case   the resources are what the steps left, and the history has a row
--
-- A field of the operation's form that has no value any more was cleared; a secret that was not typed
-- again stays. What a member of a bundle gives is among the bundle's outputs too.
CREATE OR REPLACE FUNCTION end_operation(p_request service_requests, p_status VARCHAR) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_instance service_instances;
    v_version TEXT;
    v_cleared TEXT[];
BEGIN
    SELECT * INTO v_instance FROM service_instances WHERE id = p_request.target_instance_id;
    UPDATE service_instances
    SET deployed_resources = resources_of_instance(id), updated_at = clock_timestamp()
    WHERE p_request.status <> 'validating' AND (id = v_instance.id OR id IN (
        SELECT bundle_instance_id FROM bundle_instance_members WHERE member_instance_id = v_instance.id));

    IF p_status = 'success' THEN
        v_cleared := ARRAY(
            SELECT field #>> '{}'
            FROM jsonb_path_query(p_request.plan -> 'presentation', '$.fields[*].name') AS field
            UNION
            SELECT field #>> '{}'
            FROM jsonb_path_query(p_request.plan -> 'presentation', '$.groups[*].fields[*].name') AS field);
        v_cleared := ARRAY(
            SELECT name FROM unnest(v_cleared) AS name
            WHERE NOT coalesce((v_instance.deployment_parameters -> name) ? '$secret', FALSE));
        UPDATE service_instances
        SET service_outputs = coalesce(service_outputs, '{}') || outputs_of_steps(p_request.id),
            deployment_parameters = (deployment_parameters - v_cleared) || p_request.parameters
        WHERE id = v_instance.id;
        UPDATE service_instances bundle
        SET service_outputs = coalesce(bundle.service_outputs, '{}')
                || jsonb_build_object(m.component_name, member.service_outputs),
            updated_at = clock_timestamp()
        FROM bundle_instance_members m
        JOIN service_instances member ON member.id = m.member_instance_id
        WHERE m.member_instance_id = v_instance.id AND m.component_name IS NOT NULL
          AND bundle.id = m.bundle_instance_id AND bundle.instance_state <> 'decommissioned';
    END IF;

    v_version := coalesce(p_request.plan ->> 'from_version', v_instance.catalog_version);
    PERFORM record_upgrade_history(
        v_instance.id, p_request.id, v_version::varchar,
        coalesce(p_request.plan ->> 'to_version', v_version)::varchar,
        (p_request.plan #>> '{document,name}')::varchar, p_status);
END;
$$;
