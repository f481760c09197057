-- name: members_of_requests
-- The members of the bundles that these requests are about, with what templates see of them.
SELECT r.id AS request_id, m.component_name AS component, si.id, si.instance_id, si.instance_name,
       si.catalog_version, si.deployment_parameters,
       CASE WHEN r.request_type = 'create' THEN outputs_of_steps(r.id, m.component_name)
           ELSE coalesce(si.service_outputs, '{}') END AS outputs,
       coalesce((
           SELECT jsonb_object_agg(d.dependency_name, jsonb_build_object(
               'instance_id', provider.instance_id, 'name', provider.instance_name,
               'outputs', coalesce(provider.service_outputs, '{}')))
           FROM service_instance_dependencies d
           JOIN service_instances provider ON provider.id = d.provider_instance_id
           WHERE d.dependent_instance_id = si.id AND d.dependency_name IS NOT NULL
       ), '{}') AS dependencies
FROM service_requests r
JOIN bundle_instance_members m ON m.bundle_instance_id = r.subject_instance_id
JOIN service_instances si ON si.id = m.member_instance_id
WHERE r.id = ANY (%(ids)s) AND m.component_name IS NOT NULL;

-- name: steps_of_past
-- What the steps of everything done to an instance gave, oldest first, for its decommission: by
-- component where it is a bundle's; of a member alone without one.
SELECT r.id AS request_id,
       CASE WHEN source.part IS NULL THEN coalesce(source.component, s.component) END AS component,
       s.step_name, CASE s.status WHEN 'completed' THEN s.outputs END AS outputs
FROM service_requests r
CROSS JOIN LATERAL (
    SELECT r.target_instance_id AS instance_id, NULL::text AS component, NULL::text AS part
    UNION ALL
    SELECT member_instance_id, component_name, NULL
    FROM bundle_instance_members WHERE bundle_instance_id = r.target_instance_id
    UNION ALL
    SELECT bundle_instance_id, NULL, component_name
    FROM bundle_instance_members WHERE member_instance_id = r.target_instance_id
) AS source
JOIN service_requests made ON made.subject_instance_id = source.instance_id
    AND made.request_type <> 'decommission'
JOIN request_steps s ON s.request_id = made.id AND s.section = 'automation'
    AND (source.part IS NULL OR s.component = source.part)
WHERE r.id = ANY (%(ids)s)
ORDER BY made.created_at, s.position;

-- name: requests_of_claims
-- What the steps of these requests are rendered from.
SELECT r.id, r.request_id, r.request_type, r.plan, r.parameters, r.requester_user_id,
       r.requester_team, r.requester_email, coalesce(p.name, r.requester_user_id) AS requester_name,
       r.catalog_commit, si.instance_id, si.instance_name, si.catalog_version AS instance_version,
       si.service_outputs, si.deployment_parameters,
       coalesce(steps.outputs, '{}') AS steps,
       coalesce(providers.found, '{}') AS dependencies
FROM service_requests r
LEFT JOIN people p ON p.user_id = r.requester_user_id
LEFT JOIN service_instances si ON si.id = r.subject_instance_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(s.step_id, CASE s.status WHEN 'completed' THEN s.outputs END) AS outputs
    FROM request_steps s WHERE s.request_id = r.id AND s.section = 'automation'
) steps ON TRUE
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(d.dependency_name, jsonb_build_object(
        'instance_id', provider.instance_id, 'name', provider.instance_name,
        'outputs', coalesce(provider.service_outputs, '{}'))) AS found
    FROM service_instance_dependencies d
    JOIN service_instances provider ON provider.id = d.provider_instance_id
    WHERE d.dependent_instance_id = r.subject_instance_id
) providers ON TRUE
WHERE r.id = ANY (%(ids)s);
