-- A dependency is on an instance that stays, and leads to no cycle.
--
-- The provider is held FOR SHARE to the end of the transaction: the foreign key's own FOR KEY SHARE
-- would not meet the decommission that moves its state (start_on_target, FOR NO KEY UPDATE). Insert
-- several in one statement, ordered by provider_instance_id, and no two of them can deadlock.
--
-- Two dependencies that close a cycle together cannot see each other, so one is added at a time.
CREATE OR REPLACE FUNCTION check_dependency() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_provider service_instances;
BEGIN
    SELECT * INTO v_provider FROM service_instances WHERE id = NEW.provider_instance_id FOR SHARE;
    IF v_provider.instance_state IN ('decommissioning', 'decommissioned') THEN
        RAISE EXCEPTION 'Instance % is %: nothing new can depend on it',
            v_provider.instance_id, v_provider.instance_state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'check_dependencies_provider_stays';
    END IF;

    -- The first integer is the lock space of PAO (engine/store/migrate.py); 1 is the migrations'.
    PERFORM pg_advisory_xact_lock(7265847, 2);
    IF EXISTS (
        WITH RECURSIVE provider(id) AS (
            SELECT NEW.provider_instance_id
            UNION
            SELECT d.provider_instance_id
            FROM service_instance_dependencies d
            JOIN provider ON d.dependent_instance_id = provider.id
            WHERE d.id <> NEW.id
        )
        SELECT FROM provider
        WHERE id = NEW.dependent_instance_id AND NEW.provider_instance_id <> NEW.dependent_instance_id
    ) THEN
        RAISE EXCEPTION 'Instance % depends on the new dependent already: that would be a cycle',
            v_provider.instance_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'check_dependencies_no_cycle';
    END IF;
    RETURN NEW;
END;
$$;
CREATE OR REPLACE TRIGGER check_dependency
    BEFORE INSERT OR UPDATE OF dependent_instance_id, provider_instance_id
    ON service_instance_dependencies
    FOR EACH ROW EXECUTE FUNCTION check_dependency();
