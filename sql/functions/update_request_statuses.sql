-- Moves requests to one status, and in the same transaction the instances they are about, and says so
-- in events: many at once, since the steps of many requests end in one transaction.
-- Locks the requests, then their instances by id; every other writer keeps to that order.
--
-- The locks are FOR NO KEY UPDATE: an event or step that refers to the request holds FOR KEY SHARE
-- on it, and two transactions that had inserted one each would deadlock over FOR UPDATE.
CREATE OR REPLACE FUNCTION update_request_statuses(p_request_ids UUID[], p_new_status VARCHAR) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_request service_requests;
    v_refused VARCHAR;
    v_before service_requests[];
BEGIN
    PERFORM FROM service_requests WHERE id = ANY (p_request_ids) ORDER BY id FOR NO KEY UPDATE;
    SELECT max(status) INTO v_refused FROM service_requests
    WHERE id = ANY (p_request_ids) AND NOT is_valid_status_transition(status, p_new_status);
    IF v_refused IS NOT NULL THEN
        RAISE EXCEPTION 'Invalid status transition from % to %', v_refused, p_new_status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'check_status_transition';
    END IF;
    -- A completed create moves nothing here: create_service_instance does, which has the outputs.
    SELECT array_agg(r ORDER BY r.id) INTO v_before FROM service_requests r
    WHERE id = ANY (p_request_ids) AND (request_type <> 'create' OR p_new_status <> 'completed');

    INSERT INTO events (request_id, instance_id, kind, data)
    SELECT id, subject_instance_id,
        'request.' || CASE p_new_status WHEN 'in_progress' THEN 'started' ELSE p_new_status END,
        request_event_data(r, p_new_status)
    FROM service_requests r WHERE id = ANY (p_request_ids) ORDER BY id;

    UPDATE service_requests
    SET status = p_new_status,
        version = version + 1,
        updated_at = clock_timestamp(),
        completed_at = CASE
            WHEN p_new_status IN ('completed', 'failed', 'cancelled', 'aborted') THEN clock_timestamp()
        END,
        reason = CASE WHEN p_new_status <> 'resuming' THEN reason END,
        rolled_back = rolled_back AND p_new_status <> 'resuming'
    WHERE id = ANY (p_request_ids);

    FOREACH v_request IN ARRAY coalesce(v_before, '{}') LOOP
        IF v_request.request_type = 'create' THEN
            PERFORM move_created_instances(v_request, p_new_status);
        ELSE
            PERFORM move_target_instances(v_request, p_new_status);
        END IF;
    END LOOP;
    PERFORM pg_notify('pao_events', '');
END;
$$;
