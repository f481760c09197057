-- name: list_instances
-- A page of instances, newest first, by the ways that lead to them (any, owner, team, document): a page of each, merged.
WITH way AS (
    SELECT 'any' AS kind, NULL::text AS name, NULL::uuid AS id WHERE %(everything)s
    UNION ALL SELECT 'owner', %(owner)s::text, NULL WHERE %(owner)s IS NOT NULL
    UNION ALL SELECT 'team', unnest(%(teams)s::text[]), NULL
    UNION ALL SELECT 'item', NULL, id FROM catalog_items WHERE owner = ANY (%(document_owners)s)
    UNION ALL SELECT 'bundle', NULL, id FROM catalog_bundles WHERE owner = ANY (%(document_owners)s)
)
SELECT DISTINCT found.id, found.instance_id, found.instance_name, found.instance_state,
       found.catalog_name, found.catalog_version, found.owner_user_id, found.owner_team,
       found.created_at, found.updated_at
FROM way
CROSS JOIN LATERAL (
    (SELECT * FROM listed_instances l
     WHERE way.kind = 'any' AND (l.created_at, l.id) < (%(before)s, %(before_id)s)
       AND instance_is_wanted(l, %(state)s, %(item)s, %(patterns)s)
     ORDER BY l.created_at DESC, l.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM listed_instances l
     WHERE way.kind = 'owner' AND l.owner_user_id = way.name
       AND (l.created_at, l.id) < (%(before)s, %(before_id)s)
       AND instance_is_wanted(l, %(state)s, %(item)s, %(patterns)s)
     ORDER BY l.created_at DESC, l.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM listed_instances l
     WHERE way.kind = 'team' AND l.owner_team = way.name
       AND (l.created_at, l.id) < (%(before)s, %(before_id)s)
       AND instance_is_wanted(l, %(state)s, %(item)s, %(patterns)s)
     ORDER BY l.created_at DESC, l.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM listed_instances l
     WHERE way.kind = 'item' AND l.catalog_item_id = way.id
       AND (l.created_at, l.id) < (%(before)s, %(before_id)s)
       AND instance_is_wanted(l, %(state)s, %(item)s, %(patterns)s)
     ORDER BY l.created_at DESC, l.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM listed_instances l
     WHERE way.kind = 'bundle' AND l.catalog_bundle_id = way.id
       AND (l.created_at, l.id) < (%(before)s, %(before_id)s)
       AND instance_is_wanted(l, %(state)s, %(item)s, %(patterns)s)
     ORDER BY l.created_at DESC, l.id DESC LIMIT %(limit)s)
) found
ORDER BY found.created_at DESC, found.id DESC
LIMIT %(limit)s;

-- name: instance_by_id
-- One instance with its document's names and the requests about it that are under way.
SELECT si.id, si.instance_id, si.instance_name, si.instance_state, ci.name AS catalog_item,
       cb.name AS catalog_bundle, coalesce(ci.owner, cb.owner) AS document_owner,
       si.catalog_version, si.owner_user_id, si.owner_team, si.owner_email,
       si.deployment_parameters, coalesce(si.deployed_resources, '[]') AS deployed_resources,
       coalesce(si.service_outputs, '{}') AS service_outputs, si.created_at, si.updated_at,
       si.provisioned_at, si.decommissioned_at, creation.request_id AS creation_request_id,
       ARRAY(
           SELECT r.request_id FROM service_requests r
           WHERE r.subject_instance_id = si.id
             AND r.status IN ('submitted', 'validating', 'in_progress', 'resuming')
           ORDER BY r.created_at
       ) AS open_requests
FROM service_instances si
LEFT JOIN catalog_items ci ON ci.id = si.catalog_item_id
LEFT JOIN catalog_bundles cb ON cb.id = si.catalog_bundle_id
LEFT JOIN service_requests creation ON creation.id = si.creation_request_id
WHERE si.id = %(id)s;

-- name: ids_exact
-- The instance of a full external id.
SELECT id FROM service_instances WHERE instance_id = %(word)s;

-- name: ids_like
-- Instances whose external id, with or without `si-`, begins with a word; enough to say it is not unique.
SELECT id FROM service_instances
WHERE instance_id COLLATE "C" BETWEEN %(word)s AND %(word)s || '~'
   OR instance_id COLLATE "C" BETWEEN 'si-' || %(word)s AND 'si-' || %(word)s || '~'
ORDER BY instance_id
LIMIT 20;

-- name: dependencies
-- What an instance needs and what needs it, direct ones only.
SELECT d.relationship, si.instance_id, d.instance_name, d.instance_state, d.dependency_type,
       d.dependency_name, d.is_required
FROM get_instance_dependencies(%(id)s, %(direction)s) d
JOIN service_instances si ON si.id = d.instance_id;

-- name: members
-- What a bundle consists of, in the order of its components.
SELECT si.instance_id, si.instance_name, si.instance_state, m.catalog_item_name AS catalog_item,
       si.catalog_version, m.component_name, m.member_role, m.is_required
FROM bundle_instance_members m
JOIN service_instances si ON si.id = m.member_instance_id
WHERE m.bundle_instance_id = %(id)s
ORDER BY m.is_required DESC, m.component_name, si.id;

-- name: bundles
-- The bundles that an instance is a member of.
SELECT si.instance_id, si.instance_name, si.instance_state, m.catalog_item_name AS catalog_item,
       si.catalog_version, m.component_name, m.member_role, m.is_required
FROM bundle_instance_members m
JOIN service_instances si ON si.id = m.bundle_instance_id
WHERE m.member_instance_id = %(id)s
ORDER BY si.instance_name, si.id;

-- name: operations_due
-- The operations that are eligible for instances and open to somebody of these teams, by instance; an upgrade
-- before an update.
SELECT eo.instance_id, eo.operation_name AS name
FROM eligible_operations eo
WHERE eo.instance_id = ANY (%(ids)s) AND eo.eligibility_status = 'eligible'
  AND (%(sees_all)s OR operation_is_open(eo.operation_type, eo.operation_name, %(teams)s::text[]))
ORDER BY eo.operation_type DESC, eo.operation_name;

-- name: refresh_eligibility
-- Judge again the operations of instances that changed, or whose rows have expired; how much was taken up: below
-- the limit that was all.
SELECT refresh_changed_eligibility(%(limit)s);

-- name: can_decommission
-- Whether an instance may go, why not, and who stands in the way.
SELECT can_decommission, reason, blocking_instances FROM can_decommission_instance(%(id)s);

-- name: version_history
-- How the updates and upgrades of an instance ended, newest first.
SELECT h.from_version, h.to_version, h.upgrade_type, r.request_id AS upgrade_request_id,
       h.upgrade_item_name, h.upgraded_at, h.upgrade_duration_seconds, h.upgrade_status,
       coalesce(h.rollback_available, FALSE) AS rollback_available, h.upgrade_notes
FROM instance_version_history h
LEFT JOIN service_requests r ON r.id = h.upgrade_request_id
WHERE h.instance_id = %(id)s
ORDER BY h.upgraded_at DESC, h.id;

-- name: timeline
-- What happened to an instance, oldest first: its changes, the ends of the requests about it, how its
-- updates and upgrades ended, who came to need it.
SELECT told.kind, told.at, told.data, r.request_id
FROM (
    SELECT e.kind, e.at, e.data, e.request_id, e.id AS place
    FROM events e WHERE e.instance_id = %(id)s
    UNION ALL
    SELECT 'instance.' || h.upgrade_type, h.upgraded_at, jsonb_build_object(
               'status', h.upgrade_status, 'from', h.from_version, 'to', h.to_version,
               'operation', h.upgrade_item_name, 'duration_seconds', h.upgrade_duration_seconds,
               'rollback_available', coalesce(h.rollback_available, FALSE), 'notes', h.upgrade_notes),
           h.upgrade_request_id, NULL
    FROM instance_version_history h WHERE h.instance_id = %(id)s
    UNION ALL
    SELECT 'dependent.added', d.created_at, jsonb_build_object(
               'dependent', dependent.instance_id, 'name', d.dependency_name, 'type', d.dependency_type),
           dependent.creation_request_id, NULL
    FROM service_instance_dependencies d
    JOIN service_instances dependent ON dependent.id = d.dependent_instance_id
    WHERE d.provider_instance_id = %(id)s
) AS told
LEFT JOIN service_requests r ON r.id = told.request_id
ORDER BY told.at, told.place;

-- name: operations
-- Every operation that targets an instance and is open to somebody of these teams, with whether it may be run now
-- and, where not, why.
SELECT operation_type, operation_name, operation_version, description, destructive,
       downtime_required, estimated_duration, eligible, reason
FROM evaluate_operations(%(id)s)
WHERE %(sees_all)s OR operation_is_open(operation_type, operation_name, %(teams)s::text[]);
