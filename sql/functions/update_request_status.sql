-- Moves a request to a status, and in the same transaction the instances it is about, and says so in
-- events. Locks the request, then its instances by id; every other writer keeps to that order.
--
-- The locks are FOR NO KEY UPDATE: an event or step that refers to the request holds FOR KEY SHARE
-- on it, and two transactions that had inserted one each would deadlock over FOR UPDATE.
CREATE OR REPLACE FUNCTION update_request_status(p_request_id UUID, p_new_status VARCHAR) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_request service_requests;
BEGIN
    SELECT * INTO v_request FROM service_requests WHERE id = p_request_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Request % does not exist', p_request_id USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT is_valid_status_transition(v_request.status, p_new_status) THEN
        RAISE EXCEPTION 'Invalid status transition from % to %', v_request.status, p_new_status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'check_status_transition';
    END IF;

    UPDATE service_requests
    SET status = p_new_status,
        version = version + 1,
        updated_at = clock_timestamp(),
        completed_at = CASE
            WHEN p_new_status IN ('completed', 'failed', 'cancelled', 'aborted') THEN clock_timestamp()
        END,
        reason = CASE WHEN p_new_status <> 'resuming' THEN reason END,
        rolled_back = rolled_back AND p_new_status <> 'resuming'
    WHERE id = p_request_id;

    INSERT INTO events (request_id, instance_id, kind, data)
    VALUES (
        p_request_id,
        v_request.subject_instance_id,
        'request.' || CASE p_new_status WHEN 'in_progress' THEN 'started' ELSE p_new_status END,
        request_event_data(v_request, p_new_status)
    );

    IF v_request.request_type = 'create' THEN
        PERFORM move_created_instances(v_request, p_new_status);
    ELSE
        PERFORM move_target_instances(v_request, p_new_status);
    END IF;
    PERFORM pg_notify('pao_events', '');
END;
$$;
