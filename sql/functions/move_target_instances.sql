-- Moves what an update, upgrade or decommission is about: its target, and when a bundle is
-- decommissioned its living members too, so that no new dependency on one of them slips in.
--
--   submitted ─validating─> updating | decommissioning (the state from before is kept)
--   completed ─> active | decommissioned
--   failed or aborted, in_progress or later ─> degraded
--   failed in validating, cancelled, rolled back ─> the state from before
--
-- A request that ends in submitted, and one aborted after its failure, moves nothing. What else an
-- operation leaves is end_operation's; who is decommissioned needs nobody any more.
CREATE OR REPLACE FUNCTION move_target_instances(p_request service_requests, p_new_status VARCHAR)
RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_ids UUID[] := ARRAY[p_request.target_instance_id];
    -- Of an operation the bundles of its target too: what the target gives is among their outputs.
    v_locked UUID[];
    v_states JSONB;
BEGIN
    IF p_new_status = 'in_progress' OR p_request.status = 'submitted' AND p_new_status <> 'validating'
        OR p_request.status = 'failed' AND p_new_status <> 'resuming' THEN
        RETURN;
    END IF;
    IF p_request.request_type = 'decommission' THEN
        v_ids := v_ids || ARRAY(
            SELECT member_instance_id FROM bundle_instance_members
            WHERE bundle_instance_id = p_request.target_instance_id);
        v_locked := v_ids;
    ELSE
        v_locked := v_ids || ARRAY(
            SELECT bundle_instance_id FROM bundle_instance_members
            WHERE member_instance_id = p_request.target_instance_id);
    END IF;
    PERFORM FROM service_instances WHERE id = ANY (v_locked) ORDER BY id FOR NO KEY UPDATE;

    IF p_new_status IN ('validating', 'resuming') THEN
        PERFORM start_on_target(p_request, v_ids, p_new_status);
        RETURN;
    END IF;

    SELECT jsonb_object_agg(si.id, CASE
        WHEN p_new_status = 'completed' AND p_request.request_type = 'decommission' THEN 'decommissioned'
        WHEN p_new_status = 'completed' THEN 'active'
        WHEN p_request.status = 'validating' OR p_new_status = 'cancelled' OR p_request.rolled_back
            THEN coalesce(before.state, CASE
                WHEN si.instance_state IN ('updating', 'decommissioning') THEN 'degraded'
                ELSE si.instance_state
            END)
        ELSE 'degraded'
    END) INTO v_states
    FROM service_instances si
    CROSS JOIN LATERAL (SELECT CASE si.id
        WHEN p_request.target_instance_id THEN p_request.instance_state_before
        ELSE p_request.member_states_before ->> si.id::text
    END) AS before(state)
    WHERE si.id = ANY (v_ids) AND si.instance_state <> 'decommissioned';

    IF p_new_status = 'completed' AND p_request.request_type <> 'decommission' THEN
        UPDATE service_instances
        SET last_update_request_id = p_request.id, updated_at = clock_timestamp()
        WHERE id = p_request.target_instance_id;
    END IF;
    IF v_states IS NOT NULL THEN
        PERFORM set_instance_states(v_states, p_request.id);
    END IF;
    IF p_request.request_type = 'decommission' THEN
        IF p_new_status = 'completed' THEN
            PERFORM free_dependencies(v_ids, p_request.id);
            PERFORM forget_terraform_states(v_ids);
        END IF;
    ELSIF p_request.plan ? 'document' AND p_new_status <> 'cancelled' THEN
        PERFORM end_operation(p_request, CASE
            WHEN p_new_status = 'completed' THEN 'success'
            -- What failed before its first step is marked so too, and has nothing to roll back.
            WHEN p_request.rolled_back AND EXISTS (
                SELECT FROM request_steps
                WHERE request_id = p_request.id AND section = 'rollback' AND status = 'completed')
                THEN 'rolled_back'
            ELSE 'failed'
        END);
    END IF;
END;
$$;
