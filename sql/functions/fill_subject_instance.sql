-- A request about an existing instance names it once, as its target; the index that allows one
-- active request an instance reads subject_instance_id.
CREATE OR REPLACE FUNCTION fill_subject_instance() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.subject_instance_id := coalesce(NEW.subject_instance_id, NEW.target_instance_id);
    RETURN NEW;
END;
$$;
CREATE OR REPLACE TRIGGER fill_subject_instance BEFORE INSERT ON service_requests
    FOR EACH ROW EXECUTE FUNCTION fill_subject_instance();
