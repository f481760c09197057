-- Moves what a create makes: its instance, and the members of a bundle that are not active already.
-- Completion is create_service_instance's: only it has the outputs.
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
    SELECT jsonb_object_agg(id, v_state_after) INTO v_states
    FROM service_instances
    WHERE (creation_request_id = p_request.id OR id = p_request.subject_instance_id)
      AND (instance_state = v_state_before
          -- A member that was done, and was destroyed with the rest (sql/queries/aborting.sql).
          OR p_new_status = 'aborted' AND p_request.abort_tickets IS NOT NULL
              AND instance_state = 'decommissioning');
    IF v_states IS NOT NULL THEN
        PERFORM set_instance_states(v_states, p_request.id);
        IF p_new_status = 'cancelled' THEN
            PERFORM free_dependencies(
                ARRAY(SELECT jsonb_object_keys(v_states)::uuid), p_request.id);
        END IF;
    END IF;
END;
$$;
