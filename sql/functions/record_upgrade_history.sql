-- Records how an upgrade or update ended, and moves the instance's version on success. Updates are
-- `configuration`; an upgrade is named by the first part of the version that it changes, and a
-- pre-release that becomes its release is a `patch`. Whether a rollback exists, and the notes, come
-- from the document.
CREATE OR REPLACE FUNCTION record_upgrade_history(
    p_instance_id UUID,
    p_request_id UUID,
    p_from_version VARCHAR,
    p_to_version VARCHAR,
    p_upgrade_item_name VARCHAR,
    p_status VARCHAR DEFAULT 'success'
) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    v_request service_requests;
    v_document RECORD;
BEGIN
    SELECT * INTO v_request FROM service_requests WHERE id = p_request_id;
    SELECT version, fulfillment, targets INTO v_document
    FROM (
        SELECT id, version, fulfillment, targets FROM upgrade_items
        UNION ALL
        SELECT id, version, fulfillment, targets FROM update_items
    ) operation
    WHERE id IN (v_request.upgrade_item_id, v_request.update_item_id);

    INSERT INTO instance_version_history (
        instance_id, from_version, to_version, upgrade_type, upgrade_request_id, upgrade_item_name,
        upgraded_at, upgrade_duration_seconds, upgrade_status, rollback_available, upgrade_notes)
    VALUES (
        p_instance_id, p_from_version, p_to_version,
        CASE v_request.request_type
            WHEN 'update' THEN 'configuration' ELSE version_change(p_from_version, p_to_version) END,
        p_request_id, p_upgrade_item_name, clock_timestamp(),
        extract(EPOCH FROM clock_timestamp() - v_request.created_at)::INT,
        p_status,
        coalesce(v_request.plan -> 'fulfillment', v_document.fulfillment) -> 'rollback' IS NOT NULL,
        coalesce(v_request.plan -> 'targets', v_document.targets) ->> 'notes');

    IF p_status = 'success' THEN
        UPDATE service_instances
        SET catalog_version = p_to_version, version = version + 1, updated_at = clock_timestamp()
        WHERE id = p_instance_id AND catalog_version <> p_to_version;
    END IF;
    IF p_status = 'success' AND v_request.request_type = 'upgrade' THEN
        INSERT INTO eligible_operations (
            instance_id, operation_type, operation_name, operation_version, eligibility_status,
            eligibility_reason)
        VALUES (p_instance_id, 'upgrade', p_upgrade_item_name,
            coalesce(v_request.plan #>> '{document,version}', v_document.version),
            'completed', 'completed by request ' || v_request.request_id)
        ON CONFLICT (instance_id, operation_type, operation_name, operation_version) DO UPDATE
        SET eligibility_status = EXCLUDED.eligibility_status,
            eligibility_reason = EXCLUDED.eligibility_reason,
            evaluated_at = clock_timestamp(),
            expires_at = NULL;
    END IF;
END;
$$;
