-- Brings the cache of eligible operations up to date for what changed since the last call: instances
-- that events tell of, rows whose time is over (up to `p_limit` instances; call again while that many
-- come back). Returns how many instances were judged.
--
-- The first calls ever judge all that live, `p_limit` of them each, in the order of their ids; what
-- changes meanwhile is judged after them.
--
-- It reads events by transactions that have ended, as every consumer does, with a cursor of its own,
-- so what commits late is not passed over.
CREATE OR REPLACE FUNCTION refresh_changed_eligibility(p_limit INT) RETURNS INT
LANGUAGE plpgsql AS $$
DECLARE
    c_name CONSTANT TEXT := 'eligibility';
    v_until xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_since xid8;
    v_judged_to UUID;
    v_instances UUID[];
BEGIN
    INSERT INTO consumers (name, window_from, window_to, judged_to)
    VALUES (c_name, v_until, v_until, '00000000-0000-0000-0000-000000000000')
    ON CONFLICT (name) DO NOTHING;
    SELECT window_to, judged_to INTO v_since, v_judged_to
    FROM consumers WHERE name = c_name FOR UPDATE;
    IF v_judged_to IS NOT NULL THEN
        v_instances := ARRAY(
            SELECT id FROM service_instances
            WHERE id > v_judged_to AND instance_state <> 'decommissioned'
            ORDER BY id
            LIMIT p_limit
        );
        UPDATE consumers
        SET judged_to = CASE WHEN cardinality(v_instances) = p_limit THEN v_instances[p_limit] END,
            updated_at = clock_timestamp()
        WHERE name = c_name;
        PERFORM FROM refresh_eligible_operations(v_instances);
        RETURN cardinality(v_instances);
    END IF;
    v_until := greatest(v_since, v_until);
    v_instances := ARRAY(
        SELECT DISTINCT coalesce(e.instance_id, r.subject_instance_id)
        FROM events e
        LEFT JOIN service_requests r ON r.id = e.request_id
        WHERE e.transaction_id >= v_since AND e.transaction_id < v_until
          AND (e.kind = 'instance.changed' OR e.kind LIKE 'request.%')
          AND coalesce(e.instance_id, r.subject_instance_id) IS NOT NULL
    ) || ARRAY(
        SELECT DISTINCT eo.instance_id FROM eligible_operations eo
        WHERE eo.eligibility_status IN ('eligible', 'ineligible') AND eo.expires_at < clock_timestamp()
        LIMIT p_limit
    );
    UPDATE consumers
    SET window_from = v_until, window_to = v_until, updated_at = clock_timestamp()
    WHERE name = c_name;
    IF cardinality(v_instances) > 0 THEN
        PERFORM FROM refresh_eligible_operations(v_instances);
    END IF;
    RETURN cardinality(v_instances);
END;
$$;
