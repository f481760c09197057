-- Moves a request to a status, with all that follows (update_request_statuses).
CREATE OR REPLACE FUNCTION update_request_status(p_request_id UUID, p_new_status VARCHAR) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM service_requests WHERE id = p_request_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Request % does not exist', p_request_id USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM update_request_statuses(ARRAY[p_request_id], p_new_status);
END;
$$;
