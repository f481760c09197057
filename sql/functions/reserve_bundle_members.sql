-- Makes the members of a bundle's create at its submission, in state provisioning, and connects them;
-- call it after reserve_service_instance. Called again it returns the same members.
--
-- `p_components` is a list, one entry for each component that is on:
--
--   {component, catalog_item_id, catalog_item_name, catalog_version, instance_name, role,
--    is_required, parameters, dependencies: [{on: <component>, type, name, required, config}]}
--
-- Returns {component: id of its instance}, and notes each in the plan (components.<name>.instance).
CREATE OR REPLACE FUNCTION reserve_bundle_members(p_request_id UUID, p_components JSONB)
RETURNS JSONB
LANGUAGE plpgsql AS $$
DECLARE
    v_bundle service_instances;
    v_member service_instances;
    v_component JSONB;
    v_members JSONB;
BEGIN
    SELECT si.* INTO v_bundle
    FROM service_requests r
    JOIN service_instances si ON si.id = r.subject_instance_id
    WHERE r.id = p_request_id AND r.request_type = 'create' AND si.catalog_bundle_id IS NOT NULL
    FOR NO KEY UPDATE OF r;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Request % is no create of a bundle with a reserved instance', p_request_id
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT jsonb_object_agg(component_name, member_instance_id) INTO v_members
    FROM bundle_instance_members WHERE bundle_instance_id = v_bundle.id;
    IF v_members IS NOT NULL THEN
        RETURN v_members;
    END IF;

    v_members := '{}';
    FOR v_component IN SELECT value FROM jsonb_array_elements(p_components) LOOP
        v_member := v_bundle;
        v_member.catalog_bundle_id := NULL;
        v_member.catalog_item_id := (v_component ->> 'catalog_item_id')::uuid;
        v_member.catalog_version := v_component ->> 'catalog_version';
        v_member.instance_name := v_component ->> 'instance_name';
        v_member.deployment_parameters := coalesce(v_component -> 'parameters', '{}');
        v_members := v_members || jsonb_build_object(
            v_component ->> 'component', insert_service_instance(v_member));
    END LOOP;

    INSERT INTO bundle_instance_members (
        bundle_instance_id, member_instance_id, catalog_item_name, is_required, member_role,
        component_name)
    SELECT v_bundle.id, (v_members ->> c.component)::uuid, c.catalog_item_name,
        coalesce(c.is_required, TRUE), c.role, c.component
    FROM jsonb_to_recordset(p_components) AS c(
        component TEXT, catalog_item_name TEXT, is_required BOOLEAN, role TEXT);

    UPDATE service_requests r
    SET plan = jsonb_set(r.plan, '{components}', (
        SELECT coalesce(jsonb_object_agg(planned.key, CASE
            WHEN v_members ? planned.key
                THEN planned.value || jsonb_build_object('instance', v_members -> planned.key)
            ELSE planned.value END), '{}')
        FROM jsonb_each(r.plan -> 'components') AS planned))
    WHERE r.id = p_request_id AND jsonb_typeof(r.plan -> 'components') = 'object';

    -- In the order that check_dependency asks for.
    WITH connected AS (
        INSERT INTO service_instance_dependencies (
            dependent_instance_id, provider_instance_id, dependency_type, dependency_name,
            dependency_config, is_required)
        SELECT (v_members ->> (c.value ->> 'component'))::uuid AS dependent,
            (v_members ->> d."on")::uuid AS provider, coalesce(d.type, 'data'),
            coalesce(d.name, d."on"), d.config, coalesce(d.required, TRUE)
        FROM jsonb_array_elements(p_components) AS c
        CROSS JOIN jsonb_to_recordset(coalesce(nullif(c.value -> 'dependencies', 'null'), '[]')) AS d(
            "on" TEXT, type TEXT, name TEXT, required BOOLEAN, config JSONB)
        WHERE v_members ? d."on"
        ORDER BY provider, dependent
        RETURNING dependent_instance_id, provider_instance_id, dependency_name, dependency_type
    )
    INSERT INTO events (request_id, instance_id, kind, data)
    SELECT p_request_id, connected.dependent_instance_id, 'dependency.added', jsonb_build_object(
        'provider', si.instance_id, 'name', connected.dependency_name,
        'type', connected.dependency_type)
    FROM connected JOIN service_instances si ON si.id = connected.provider_instance_id;
    RETURN v_members;
END;
$$;
