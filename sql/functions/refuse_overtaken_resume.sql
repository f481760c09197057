-- A failed request cannot be resumed once another one was started on its instance: what it left
-- behind is no longer what it would find. The engine reports the refusal by the constraint's name.
CREATE OR REPLACE FUNCTION refuse_overtaken_resume(p_request service_requests) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_later VARCHAR;
BEGIN
    SELECT request_id INTO v_later FROM service_requests
    WHERE subject_instance_id = p_request.subject_instance_id
      AND created_at > p_request.created_at
      AND instance_state_before IS NOT NULL
    ORDER BY created_at
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Request % was started on the instance since then', v_later
            USING ERRCODE = 'check_violation', CONSTRAINT = 'check_resume_not_overtaken';
    END IF;
END;
$$;
