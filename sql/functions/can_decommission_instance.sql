-- Whether an instance may go, why not, and who stands in the way. For a bundle its living members
-- are asked for too. Nothing is locked: who acts on the answer locks the instances first and asks in
-- a statement of its own (start_on_target).
--
-- In the way are: a required dependent that lives, also one on its way out, since its decommission
-- may yet fail (one of the same bundle goes with it); another living bundle that shares a member; an
-- active request other than a decommission.
CREATE OR REPLACE FUNCTION can_decommission_instance(p_instance_id UUID)
RETURNS TABLE (can_decommission BOOLEAN, reason TEXT, blocking_instances JSONB)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance service_instances;
    v_going UUID[];
    v_dependents JSONB;
    v_bundles JSONB;
    v_requests TEXT;
BEGIN
    SELECT * INTO v_instance FROM service_instances WHERE id = p_instance_id;
    IF NOT FOUND OR v_instance.instance_state = 'decommissioned' THEN
        RETURN QUERY SELECT FALSE,
            CASE WHEN v_instance.id IS NULL THEN 'Instance does not exist'
                 ELSE 'Instance is already decommissioned' END,
            '[]'::jsonb;
        RETURN;
    END IF;
    SELECT array_agg(si.id) INTO v_going
    FROM service_instances si
    WHERE si.instance_state <> 'decommissioned' AND (si.id = p_instance_id OR si.id IN (
        SELECT member_instance_id FROM bundle_instance_members WHERE bundle_instance_id = p_instance_id));

    SELECT jsonb_agg(jsonb_build_object(
        'instance_id', dependent.instance_id,
        'instance_name', dependent.instance_name,
        'instance_state', dependent.instance_state,
        'dependency_type', d.dependency_type,
        'owner_user_id', dependent.owner_user_id,
        'owner_team', dependent.owner_team,
        'needs', provider.instance_id) ORDER BY dependent.instance_name, dependent.id)
    INTO v_dependents
    FROM service_instance_dependencies d
    JOIN service_instances dependent ON dependent.id = d.dependent_instance_id
    JOIN service_instances provider ON provider.id = d.provider_instance_id
    WHERE d.provider_instance_id = ANY (v_going)
      AND d.is_required
      AND NOT d.dependent_instance_id = ANY (v_going)
      AND dependent.instance_state <> 'decommissioned'
      AND NOT (dependent.instance_state = 'decommissioning'
          AND are_in_one_bundle(dependent.id, provider.id));

    SELECT jsonb_agg(DISTINCT jsonb_build_object(
        'instance_id', other.instance_id,
        'instance_name', other.instance_name,
        'instance_state', other.instance_state,
        'dependency_type', 'bundle',
        'owner_user_id', other.owner_user_id,
        'owner_team', other.owner_team,
        'needs', member.instance_id))
    INTO v_bundles
    FROM bundle_instance_members ours
    JOIN bundle_instance_members theirs
        ON theirs.member_instance_id = ours.member_instance_id
        AND theirs.bundle_instance_id <> ours.bundle_instance_id
    JOIN service_instances other ON other.id = theirs.bundle_instance_id
    JOIN service_instances member ON member.id = ours.member_instance_id
    WHERE ours.bundle_instance_id = p_instance_id
      AND member.instance_state <> 'decommissioned'
      AND other.instance_state <> 'decommissioned';

    SELECT string_agg(request_id || ' (' || request_type || ', ' || status || ')', ', ' ORDER BY created_at, id)
    INTO v_requests
    FROM service_requests
    WHERE subject_instance_id = ANY (v_going)
      AND request_type <> 'decommission'
      AND status IN ('submitted', 'validating', 'in_progress', 'resuming');

    RETURN QUERY SELECT
        v_dependents IS NULL AND v_bundles IS NULL AND v_requests IS NULL,
        nullif(concat_ws('; ',
            CASE WHEN v_dependents IS NOT NULL THEN
                'Instance has required dependents that must be decommissioned first' END,
            CASE WHEN v_bundles IS NOT NULL THEN
                'Instance shares members with another bundle' END,
            'Active requests must end first: ' || v_requests), ''),
        coalesce(v_dependents, '[]') || coalesce(v_bundles, '[]');
END;
$$;
