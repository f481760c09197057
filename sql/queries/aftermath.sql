-- name: failed_operation
-- An update or upgrade that failed or was aborted, and its instance as it is.
SELECT r.id, r.request_id, r.parameters, r.plan->>'to_version' AS to_version,
       coalesce((r.plan->>'destructive')::boolean, FALSE) AS is_destructive, r.rolled_back,
       EXISTS (SELECT FROM request_steps s WHERE s.request_id = r.id AND s.section = 'automation'
               AND s.attempt_count > 0) AS was_begun,
       EXISTS (SELECT FROM request_steps s WHERE s.request_id = r.id AND s.section = 'automation'
               AND s.status = 'completed' AND s.attempt_count > 0) AS has_changed,
       (SELECT e.data->>'check' FROM events e
        WHERE e.request_id = r.id AND e.kind = 'check.failed' ORDER BY e.id DESC LIMIT 1) AS failed_check,
       si.deployment_parameters, si.catalog_version
FROM service_requests r
JOIN service_instances si ON si.id = r.target_instance_id
WHERE r.id = %(id)s AND r.request_type IN ('update', 'upgrade') AND r.status IN ('failed', 'aborted');

-- name: failures
-- The last attempts of the steps that failed.
SELECT a.error_type, a.error_kind, a.verification_result AS verification
FROM request_steps s
CROSS JOIN LATERAL (
    SELECT * FROM step_attempts WHERE step_id = s.id ORDER BY attempt_number DESC LIMIT 1) a
WHERE s.request_id = %(id)s AND s.section = 'automation' AND s.status = 'failed'
ORDER BY s.position;

-- name: last_request
-- The last request about an instance that was more than asked for.
SELECT id FROM service_requests
WHERE subject_instance_id = %(id)s AND status NOT IN ('submitted', 'cancelled')
ORDER BY created_at DESC
LIMIT 1;
