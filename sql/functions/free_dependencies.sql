-- Lets go of what decommissioned instances needed: their providers may be decommissioned next. What
-- was deployed of them is gone.
CREATE OR REPLACE FUNCTION free_dependencies(p_instance_ids UUID[], p_request_id UUID) RETURNS VOID
LANGUAGE sql AS $$
    UPDATE service_instances SET deployed_resources = '[]'
    WHERE id = ANY (p_instance_ids) AND instance_state = 'decommissioned';

    WITH freed AS (
        DELETE FROM service_instance_dependencies d
        USING service_instances si
        WHERE d.dependent_instance_id = ANY (p_instance_ids)
          AND si.id = d.dependent_instance_id AND si.instance_state = 'decommissioned'
        RETURNING d.*
    )
    INSERT INTO events (request_id, instance_id, kind, data)
    SELECT p_request_id, freed.dependent_instance_id, 'dependency.removed', jsonb_build_object(
        'provider', provider.instance_id, 'name', freed.dependency_name, 'type', freed.dependency_type)
    FROM freed
    JOIN service_instances provider ON provider.id = freed.provider_instance_id
    ORDER BY freed.dependent_instance_id, provider.id
$$;
