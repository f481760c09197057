-- Whether a request may go from one status to another; nothing else decides. NULL is never valid.
CREATE OR REPLACE FUNCTION is_valid_status_transition(p_from VARCHAR, p_to VARCHAR) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    c_next CONSTANT JSONB := '{
        "submitted": ["validating", "cancelled", "failed"],
        "validating": ["in_progress", "cancelled", "failed"],
        "in_progress": ["completed", "failed", "cancelled", "aborted"],
        "failed": ["resuming", "aborted"],
        "resuming": ["in_progress", "failed", "aborted"],
        "completed": [],
        "cancelled": [],
        "aborted": []
    }';
    v_status VARCHAR;
BEGIN
    FOREACH v_status IN ARRAY ARRAY[p_from, p_to] LOOP
        IF NOT c_next ? v_status THEN
            RAISE EXCEPTION 'Unknown request status %', v_status
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;
    RETURN coalesce((c_next -> p_from) ? p_to, FALSE);
END;
$$;
