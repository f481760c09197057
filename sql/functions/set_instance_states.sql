-- Gives instances new states ({"<uuid>": "<state>", ...}) and writes an event for each that changed.
-- Every change of an instance's state ends here; who is degraded by it is told to its dependents.
CREATE OR REPLACE FUNCTION set_instance_states(p_states JSONB, p_request_id UUID) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_degraded UUID[];
BEGIN
    WITH locked AS (
        SELECT si.id, si.instance_state AS state_before, wanted.value AS state_after
        FROM jsonb_each_text(p_states) AS wanted
        JOIN service_instances si ON si.id = wanted.key::uuid AND si.instance_state <> wanted.value
        ORDER BY si.id
        FOR NO KEY UPDATE OF si
    ), moved AS (
        UPDATE service_instances si
        SET instance_state = locked.state_after,
            version = si.version + 1,
            updated_at = clock_timestamp(),
            provisioned_at = CASE locked.state_after
                WHEN 'active' THEN coalesce(si.provisioned_at, clock_timestamp())
                ELSE si.provisioned_at
            END,
            decommissioned_at = CASE locked.state_after
                WHEN 'decommissioned' THEN clock_timestamp()
            END
        FROM locked
        WHERE si.id = locked.id
        RETURNING si.id, locked.state_before, locked.state_after
    ), told AS (
        INSERT INTO events (request_id, instance_id, kind, data)
        SELECT p_request_id, id, 'instance.changed',
            jsonb_build_object('from', state_before, 'to', state_after)
        FROM moved
        ORDER BY id
    )
    SELECT array_agg(id) FILTER (WHERE state_after = 'degraded') INTO v_degraded FROM moved;
    IF v_degraded IS NOT NULL THEN
        PERFORM tell_dependents(v_degraded);
    END IF;
    PERFORM pg_notify('pao_events', '');
END;
$$;
