-- What the event of a request's new status tells besides its name. A failure is told by the step
-- that failed first; one without a failed step (a check, an expiry) by the request's reason.
CREATE OR REPLACE FUNCTION request_event_data(p_request service_requests, p_new_status VARCHAR)
RETURNS JSONB
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_failure JSONB;
BEGIN
    IF p_new_status IN ('cancelled', 'aborted') THEN
        RETURN jsonb_build_object('reason', p_request.reason);
    ELSIF p_new_status <> 'failed' THEN
        RETURN '{}';
    END IF;
    SELECT jsonb_build_object(
        'step', s.step_id,
        'error_type', a.error_type,
        'error_message', coalesce(a.error_message, p_request.reason))
    INTO v_failure
    FROM request_steps s
    LEFT JOIN LATERAL (
        SELECT error_type, error_message FROM step_attempts
        WHERE step_id = s.id ORDER BY attempt_number DESC LIMIT 1
    ) a ON TRUE
    WHERE s.request_id = p_request.id AND s.status = 'failed'
    ORDER BY s.completed_at, s.position
    LIMIT 1;
    RETURN coalesce(v_failure, jsonb_build_object(
        'step', NULL, 'error_type', NULL, 'error_message', p_request.reason));
END;
$$;
