-- Says, once a degradation, that instances which others need are degraded: one event an instance,
-- with the living instances that require it and their owners. An instance that was degraded, was
-- worked on and is degraded again without having been active was told of already.
CREATE OR REPLACE FUNCTION tell_dependents(p_instance_ids UUID[]) RETURNS VOID
LANGUAGE sql AS $$
    INSERT INTO events (instance_id, kind, data)
    SELECT provider.id, 'instance.provider_degraded', jsonb_build_object(
        'provider', provider.instance_id,
        'provider_name', provider.instance_name,
        'dependents', jsonb_agg(jsonb_build_object(
            'instance_id', dependent.instance_id,
            'instance_name', dependent.instance_name,
            'owner_user_id', dependent.owner_user_id,
            'owner_team', dependent.owner_team) ORDER BY dependent.instance_name, dependent.id))
    FROM service_instances provider
    JOIN service_instance_dependencies d ON d.provider_instance_id = provider.id AND d.is_required
    JOIN service_instances dependent ON dependent.id = d.dependent_instance_id
        AND dependent.instance_state NOT IN ('decommissioned', 'failed')
    WHERE provider.id = ANY (p_instance_ids)
      AND NOT EXISTS (
          SELECT FROM events told
          WHERE told.instance_id = provider.id AND told.kind = 'instance.provider_degraded'
            AND NOT EXISTS (
                SELECT FROM events since
                WHERE since.instance_id = provider.id AND since.id > told.id
                  AND since.kind = 'instance.changed' AND since.data ->> 'to' = 'active'))
    GROUP BY provider.id
    ORDER BY provider.id
$$;
