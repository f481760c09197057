-- What the status of a request does not say: it waits for an approval of its own, or for its time.
-- (In PL/pgSQL, whose plans last for the session: every reading of a request asks for it.)
CREATE OR REPLACE FUNCTION request_standing(p_request service_requests) RETURNS TEXT
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_request.status = 'submitted' THEN
        RETURN CASE WHEN EXISTS (
            SELECT FROM approvals WHERE request_id = p_request.id AND status = 'waiting') THEN 'approval' END;
    END IF;
    RETURN CASE WHEN p_request.status = 'in_progress' AND p_request.gate = 'opening' THEN 'scheduled' END;
END;
$$;
