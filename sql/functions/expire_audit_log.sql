-- Deletes audit rows older than a moment, says so in the audit log, and returns how many they were.
CREATE OR REPLACE FUNCTION expire_audit_log(p_before TIMESTAMPTZ, p_actor TEXT) RETURNS BIGINT
LANGUAGE plpgsql AS $$
DECLARE
    v_deleted BIGINT;
BEGIN
    PERFORM set_config('pao.audit_expires', 'on', TRUE);
    DELETE FROM audit_log WHERE at < p_before;
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    PERFORM set_config('pao.audit_expires', 'off', TRUE);
    INSERT INTO audit_log (actor, action, after)
    VALUES (p_actor, 'audit.expired', jsonb_build_object('before', p_before, 'deleted', v_deleted));
    RETURN v_deleted;
END;
$$;
