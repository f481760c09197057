-- Whether two instances belong to the same bundle, the bundle's own instance included.
CREATE OR REPLACE FUNCTION are_in_one_bundle(p_one UUID, p_other UUID) RETURNS BOOLEAN
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        (SELECT bundle_instance_id FROM bundle_instance_members WHERE member_instance_id = p_one
         UNION SELECT p_one)
        INTERSECT
        (SELECT bundle_instance_id FROM bundle_instance_members WHERE member_instance_id = p_other
         UNION SELECT p_other)
    )
$$;
