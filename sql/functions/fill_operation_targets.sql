-- Keeps operation_targets as the update and upgrade items state their targets, a set at a time.
-- The trigger's argument is the kind of operation. Entries without a name are passed over: plain
-- INSERTs are not validated, documents are.
CREATE OR REPLACE FUNCTION fill_operation_targets() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_changed UUID[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        v_changed := ARRAY(SELECT id FROM made);
    ELSIF TG_OP = 'DELETE' THEN
        v_changed := ARRAY(SELECT id FROM gone);
    ELSE
        v_changed := ARRAY(SELECT id FROM made JOIN gone USING (id) WHERE made.targets <> gone.targets);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM operation_targets WHERE operation_id = ANY (v_changed);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO operation_targets (kind, operation_id, target_name, version_range, comparators)
        SELECT TG_ARGV[0], made.id, target.value ->> 'name', target.value ->> 'version_range',
            parse_version_range(target.value ->> 'version_range')
        FROM made
        CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(made.targets -> 'catalog_items')
            WHEN 'array' THEN made.targets -> 'catalog_items' ELSE '[]' END) AS target
        WHERE made.id = ANY (v_changed) AND target.value ->> 'name' IS NOT NULL;
    END IF;
    RETURN NULL;
END;
$$;
CREATE OR REPLACE TRIGGER fill_operation_targets_inserted AFTER INSERT ON update_items
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION fill_operation_targets('update');
CREATE OR REPLACE TRIGGER fill_operation_targets_updated AFTER UPDATE ON update_items
    REFERENCING OLD TABLE AS gone NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION fill_operation_targets('update');
CREATE OR REPLACE TRIGGER fill_operation_targets_deleted AFTER DELETE ON update_items
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION fill_operation_targets('update');
CREATE OR REPLACE TRIGGER fill_operation_targets_inserted AFTER INSERT ON upgrade_items
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION fill_operation_targets('upgrade');
CREATE OR REPLACE TRIGGER fill_operation_targets_updated AFTER UPDATE ON upgrade_items
    REFERENCING OLD TABLE AS gone NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION fill_operation_targets('upgrade');
CREATE OR REPLACE TRIGGER fill_operation_targets_deleted AFTER DELETE ON upgrade_items
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION fill_operation_targets('upgrade');
