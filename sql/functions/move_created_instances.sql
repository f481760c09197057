-- Moves what a create makes: its instance, and the members of a bundle that are not active already.
-- Completion is create_service_instance's: only it has the outputs.
--
-- A member that was done and was to be destroyed with an aborted request (sql/queries/aborting.sql) is
-- failed once that has begun; where it has not, the member is intact and as it was before.
CREATE OR REPLACE FUNCTION move_created_instances(p_request service_requests, p_new_status VARCHAR)
RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_state_before VARCHAR := CASE p_new_status WHEN 'resuming' THEN 'failed' ELSE 'provisioning' END;
    v_state_after VARCHAR := CASE p_new_status
        WHEN 'failed' THEN 'failed'
        WHEN 'aborted' THEN 'failed'
        WHEN 'cancelled' THEN 'decommissioned'
        WHEN 'resuming' THEN 'provisioning'
    END;
    v_states JSONB;
BEGIN
    IF v_state_after IS NULL THEN
        RETURN;
    END IF;
    IF p_new_status = 'resuming' THEN
        PERFORM refuse_overtaken_resume(p_request);
    END IF;
    SELECT jsonb_object_agg(id, state_after) INTO v_states
    FROM (
        SELECT id, v_state_after AS state_after
        FROM service_instances
        WHERE (creation_request_id = p_request.id OR id = p_request.subject_instance_id)
          AND instance_state = v_state_before
        UNION ALL
        SELECT made.id, CASE WHEN bool_or(s.attempt_count > 0) THEN 'failed' ELSE coalesce((
            SELECT e.data ->> 'from' FROM events e
            WHERE e.instance_id = made.id AND e.request_id = p_request.id
              AND e.kind = 'instance.changed' AND e.data ->> 'to' = 'decommissioning'
            ORDER BY e.id DESC
            LIMIT 1), 'active') END
        FROM request_steps s
        JOIN bundle_instance_members m ON m.bundle_instance_id = p_request.subject_instance_id
            AND m.component_name = s.component
        JOIN service_instances made ON made.id = m.member_instance_id
            AND made.creation_request_id = p_request.id
        WHERE p_new_status = 'aborted' AND s.request_id = p_request.id AND s.section = 'cleanup'
          AND made.instance_state = 'decommissioning'
        GROUP BY made.id
    ) AS moving;
    IF v_states IS NOT NULL THEN
        PERFORM set_instance_states(v_states, p_request.id);
        IF p_new_status = 'cancelled' THEN
            PERFORM free_dependencies(
                ARRAY(SELECT jsonb_object_keys(v_states)::uuid), p_request.id);
        END IF;
    END IF;
END;
$$;
