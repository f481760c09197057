-- Takes the locked target (and the members of a bundle that is decommissioned) for a request that
-- starts or resumes. Refuses, by named constraints, what may not start.
CREATE OR REPLACE FUNCTION start_on_target(
    p_request service_requests, p_instance_ids UUID[], p_new_status VARCHAR
) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_target service_instances;
    v_check RECORD;
    v_states JSONB;
BEGIN
    IF p_new_status = 'resuming' THEN
        PERFORM refuse_overtaken_resume(p_request);
    END IF;
    SELECT * INTO v_target FROM service_instances WHERE id = p_request.target_instance_id;
    IF v_target.instance_state NOT IN ('active', 'degraded', 'failed')
        OR v_target.instance_state = 'failed' AND p_request.request_type <> 'decommission' THEN
        RAISE EXCEPTION 'Instance % is %: no % can start on it',
            v_target.instance_id, v_target.instance_state, p_request.request_type
            USING ERRCODE = 'check_violation', CONSTRAINT = 'check_instance_can_change';
    END IF;
    IF p_request.request_type = 'decommission' THEN
        -- A statement of its own, after the locks: it sees every dependency committed before them.
        SELECT * INTO v_check FROM can_decommission_instance(p_request.target_instance_id);
        IF NOT v_check.can_decommission THEN
            RAISE EXCEPTION '%', v_check.reason
                USING ERRCODE = 'check_violation', CONSTRAINT = 'check_can_decommission';
        END IF;
    END IF;

    UPDATE service_requests r
    SET instance_state_before = coalesce(r.instance_state_before, v_target.instance_state),
        member_states_before = coalesce(r.member_states_before, (
            SELECT jsonb_object_agg(si.id, si.instance_state)
            FROM service_instances si
            WHERE si.id = ANY (p_instance_ids) AND si.id <> v_target.id))
    WHERE r.id = p_request.id;

    SELECT jsonb_object_agg(id, CASE p_request.request_type
        WHEN 'decommission' THEN 'decommissioning' ELSE 'updating' END)
    INTO v_states
    FROM service_instances
    WHERE id = ANY (p_instance_ids) AND instance_state <> 'decommissioned';
    PERFORM set_instance_states(v_states, p_request.id);
END;
$$;
