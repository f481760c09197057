-- Brings the cache of eligible operations up to date for what changed since the last call: instances that events
-- tell of, and rows whose time is over. One call reads up to `p_limit` events and takes up to `p_limit` instances
-- with expired rows, however long nobody called. Returns how much it took: there may be more as long as that is
-- `p_limit` or above.
--
-- The first calls ever judge all that live, `p_limit` of them each, in the order of their ids; what
-- changes meanwhile is judged after them.
--
-- It reads events by transactions that have ended, as every consumer does, with a cursor of its own (the event
-- `last_event_id` of the transaction `window_from` was the last), so what commits late is not passed over.
CREATE OR REPLACE FUNCTION refresh_changed_eligibility(p_limit INT) RETURNS INT
LANGUAGE plpgsql AS $$
DECLARE
    c_name CONSTANT TEXT := 'eligibility';
    v_until xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_cursor consumers;
    v_read INT;
    v_last_transaction xid8;
    v_last_event BIGINT;
    v_changed UUID[];
    v_expired UUID[];
BEGIN
    INSERT INTO consumers (name, window_from, window_to, judged_to)
    VALUES (c_name, v_until, v_until, '00000000-0000-0000-0000-000000000000')
    ON CONFLICT (name) DO NOTHING;
    SELECT * INTO v_cursor FROM consumers WHERE name = c_name FOR UPDATE;
    IF v_cursor.judged_to IS NOT NULL THEN
        v_changed := ARRAY(
            SELECT id FROM service_instances
            WHERE id > v_cursor.judged_to AND instance_state <> 'decommissioned'
            ORDER BY id
            LIMIT p_limit
        );
        UPDATE consumers
        SET judged_to = CASE WHEN cardinality(v_changed) = p_limit THEN v_changed[p_limit] END,
            updated_at = clock_timestamp()
        WHERE name = c_name;
        PERFORM FROM refresh_eligible_operations(v_changed);
        RETURN cardinality(v_changed);
    END IF;
    WITH next AS MATERIALIZED (
        SELECT e.transaction_id, e.id, e.kind, e.instance_id, e.request_id
        FROM events e
        WHERE (e.transaction_id, e.id) > (v_cursor.window_from, v_cursor.last_event_id)
          AND e.transaction_id < v_until
        ORDER BY e.transaction_id, e.id
        LIMIT p_limit
    )
    SELECT count(*), (array_agg(next.transaction_id ORDER BY next.transaction_id DESC, next.id DESC))[1],
           (array_agg(next.id ORDER BY next.transaction_id DESC, next.id DESC))[1],
           coalesce(array_agg(DISTINCT coalesce(next.instance_id, r.subject_instance_id)) FILTER (
               WHERE (next.kind = 'instance.changed' OR next.kind LIKE 'request.%')
                 AND coalesce(next.instance_id, r.subject_instance_id) IS NOT NULL), '{}')
    INTO v_read, v_last_transaction, v_last_event, v_changed
    FROM next LEFT JOIN service_requests r ON r.id = next.request_id;
    v_expired := ARRAY(
        SELECT DISTINCT eo.instance_id FROM eligible_operations eo
        WHERE eo.eligibility_status IN ('eligible', 'ineligible') AND eo.expires_at < clock_timestamp()
        LIMIT p_limit
    );
    UPDATE consumers
    SET window_from = CASE WHEN v_read = p_limit THEN v_last_transaction
            ELSE greatest(window_from, v_until) END,
        window_to = greatest(window_to, v_until),
        last_event_id = CASE WHEN v_read = p_limit THEN v_last_event
            WHEN v_until > window_from THEN 0 ELSE last_event_id END,
        updated_at = clock_timestamp()
    WHERE name = c_name;
    IF cardinality(v_changed || v_expired) > 0 THEN
        PERFORM FROM refresh_eligible_operations(v_changed || v_expired);
    END IF;
    RETURN v_read + cardinality(v_expired);
END;
$$;
