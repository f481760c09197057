-- What exists of an instance by what its steps reported: of every Terraform state what the last step
-- on it left, of every other step what its last run made. The steps are those of the requests about
-- the instance, of its bundle's as far as they were for its component, and of a bundle's members.
CREATE OR REPLACE FUNCTION resources_of_instance(p_instance_id UUID) RETURNS JSONB
LANGUAGE sql STABLE AS $$
    WITH subject AS (
        SELECT p_instance_id AS id, NULL::text AS part, NULL::text AS component
        UNION ALL
        SELECT bundle_instance_id, component_name, ''
        FROM bundle_instance_members WHERE member_instance_id = p_instance_id
        UNION ALL
        SELECT member_instance_id, NULL, component_name
        FROM bundle_instance_members WHERE bundle_instance_id = p_instance_id
    ), made AS (
        SELECT DISTINCT ON (place) s.resources, s.completed_at, s.position,
            coalesce(s.external ->> 'workspace',
                coalesce(subject.component, s.component, '') || '/' || s.step_name) AS place
        FROM subject
        JOIN service_requests r ON r.subject_instance_id = subject.id
        JOIN request_steps s ON s.request_id = r.id
            AND (subject.part IS NULL OR s.component = subject.part)
        WHERE s.section <> 'cleanup' AND s.status = 'completed' AND jsonb_typeof(s.resources) = 'array'
        ORDER BY place, s.completed_at DESC
    )
    SELECT coalesce(jsonb_agg(resource.value
        ORDER BY made.completed_at, made.position, resource.ordinality), '[]')
    FROM made CROSS JOIN LATERAL jsonb_array_elements(made.resources) WITH ORDINALITY AS resource
$$;
