"""What must hold of the tables at every moment, whoever has died: one statement gives what does not."""

from __future__ import annotations

from engine.store.pool import Connection

VIOLATIONS = """
WITH steps AS (
    SELECT s.*, r.status AS request_status,
           s.status NOT IN ('completed', 'failed', 'skipped') AS is_open,
           s.section = 'automation' OR s.next_run_at IS NOT NULL OR s.started_at IS NOT NULL
               AS has_begun
    FROM request_steps s JOIN service_requests r ON r.id = s.request_id
), counted AS (
    SELECT r.id, r.request_id, r.status, r.open_steps, r.failed_steps, r.gate,
           count(s.id) FILTER (WHERE s.attempt_count > 0) AS begun,
           count(s.id) AS all_steps,
           count(s.id) FILTER (WHERE s.is_open AND s.has_begun) AS open,
           count(s.id) FILTER (WHERE s.is_open AND s.status <> 'pending') AS under_way,
           count(s.id) FILTER (WHERE s.status = 'failed') AS failed,
           count(s.id) FILTER (WHERE s.skip_reason = 'dependency') AS blocked,
           count(s.id) FILTER (WHERE s.is_open AND s.waiting_on = 0
               AND (s.next_run_at IS NOT NULL OR s.lease_owner IS NOT NULL)) AS carried,
           count(s.id) FILTER (WHERE s.is_open AND s.status <> 'pending' AND s.phase <> 'cancel')
               AS not_cancelled
    FROM service_requests r LEFT JOIN steps s ON s.request_id = r.id
    GROUP BY r.id
), attempts AS (
    SELECT s.id, count(a.id) AS made, count(a.id) FILTER (WHERE a.status = 'running') AS running
    FROM request_steps s LEFT JOIN step_attempts a ON a.step_id = s.id GROUP BY s.id
)
SELECT 'open_steps is not what a recount gives: ' || to_json(counted) FROM counted
WHERE all_steps > 0 AND CASE status WHEN 'in_progress' THEN open
    WHEN 'aborted' THEN under_way ELSE 0 END <> open_steps AND status NOT IN ('submitted', 'validating')
    AND gate IS NULL
UNION ALL
SELECT 'failed_steps is not what a recount gives: ' || to_json(counted) FROM counted
WHERE status = 'in_progress' AND all_steps > 0 AND failed <> failed_steps
UNION ALL
SELECT 'nobody will ever carry the request on: ' || to_json(counted) FROM counted
WHERE (status = 'in_progress' AND all_steps > 0 OR under_way > 0) AND carried = 0 AND gate IS NULL
UNION ALL
SELECT 'an ended request has a step under way: ' || to_json(counted) FROM counted
WHERE status IN ('completed', 'cancelled', 'failed') AND under_way > 0
   OR status = 'aborted' AND not_cancelled > 0
UNION ALL
SELECT 'a failed request has no way forward: ' || to_json(counted) FROM counted
WHERE status = 'failed' AND begun > 0 AND failed = 0 AND blocked = 0
UNION ALL
SELECT 'a gate that nobody looks at: ' || to_json(counted) FROM counted
WHERE gate = 'checks' AND status NOT IN ('validating', 'resuming')
   OR gate = 'opening' AND status <> 'in_progress'
   OR status IN ('validating', 'resuming') AND gate IS DISTINCT FROM 'checks'
UNION ALL
SELECT 'an approval is asked for that decides nothing: ' || r.status || ' ' || to_json(a)
FROM approvals a JOIN service_requests r ON r.id = a.request_id
WHERE a.status = 'waiting' AND CASE
    WHEN a.resumption IS NOT NULL THEN r.status <> 'failed'
    WHEN a.step_id IS NULL THEN r.status <> 'submitted'
    ELSE r.status <> 'in_progress' END
UNION ALL
SELECT 'a submitted request waits for nothing: ' || to_json(counted) FROM counted
WHERE status = 'submitted' AND NOT EXISTS (
    SELECT FROM approvals a WHERE a.request_id = counted.id AND a.status = 'waiting')
UNION ALL
SELECT 'a request began without its approvals: ' || to_json(counted) FROM counted
WHERE begun > 0 AND EXISTS (SELECT FROM approvals a WHERE a.request_id = counted.id
    AND a.step_id IS NULL AND a.resumption IS NULL AND a.status <> 'approved')
UNION ALL
SELECT 'an approval has not the decisions that it says: ' || a.status FROM approvals a
WHERE (a.status = 'approved') <> (a.needed <= (
        SELECT count(*) FROM approval_decisions d
        WHERE d.approval_id = a.id AND d.decision = 'approved'))
   OR (a.status = 'rejected') <> EXISTS (
        SELECT FROM approval_decisions d WHERE d.approval_id = a.id AND d.decision = 'rejected')
UNION ALL
SELECT 'waiting_on is not what a recount gives: ' || s.step_id FROM steps s
WHERE s.status = 'pending' AND s.request_status = 'in_progress' AND s.waiting_on <> (
    SELECT count(*) FROM request_steps b
    WHERE b.request_id = s.request_id AND b.step_id = ANY (s.depends_on)
      AND NOT (b.status = 'completed' OR coalesce(b.skip_reason, '') IN ('condition', 'manual')))
UNION ALL
SELECT 'a step waits for one that will not come: ' || s.step_id FROM steps s
JOIN request_steps b ON b.request_id = s.request_id AND b.step_id = ANY (s.depends_on)
WHERE s.status = 'pending' AND s.section = 'automation' AND s.request_status = 'in_progress'
  AND (b.status = 'failed' OR b.skip_reason IN ('dependency', 'aborted'))
UNION ALL
SELECT 'a lease on a step that does not run: ' || step_id || ' ' || status FROM steps
WHERE lease_owner IS NOT NULL AND status NOT IN ('running', 'verifying')
UNION ALL
SELECT 'attempts are not counted right: ' || s.step_id || ' ' || s.attempt_count || ' ' || a.made
FROM steps s JOIN attempts a ON a.id = s.id WHERE s.attempt_count <> a.made
UNION ALL
SELECT 'an attempt runs of a step that does not: ' || s.step_id || ' ' || s.status
FROM steps s JOIN attempts a ON a.id = s.id
WHERE a.running > CASE WHEN s.status IN ('running', 'verifying') THEN 1 ELSE 0 END
UNION ALL
SELECT 'an instance is not in the state of its request: ' || si.instance_state || ' ' || r.status
FROM service_requests r JOIN service_instances si ON si.id = r.subject_instance_id
WHERE r.request_type = 'create' AND NOT EXISTS (
        SELECT FROM service_requests later
        WHERE later.subject_instance_id = si.id AND later.created_at > r.created_at)
  AND si.instance_state <> CASE r.status WHEN 'completed' THEN 'active' WHEN 'failed' THEN 'failed'
      WHEN 'aborted' THEN 'failed' WHEN 'cancelled' THEN 'decommissioned' ELSE 'provisioning' END
UNION ALL
SELECT 'an instance is stuck: nothing will move it on from ' || si.instance_state || ' ' || si.instance_id
FROM service_instances si
WHERE si.instance_state IN ('provisioning', 'updating', 'decommissioning') AND NOT EXISTS (
    SELECT FROM service_requests r
    WHERE r.status IN ('submitted', 'validating', 'in_progress', 'resuming')
      AND r.subject_instance_id IN (
          SELECT si.id UNION ALL SELECT m.bundle_instance_id FROM bundle_instance_members m
          WHERE m.member_instance_id = si.id))
UNION ALL
SELECT 'a component is done and its member is not active: ' || m.component_name
FROM service_requests r
JOIN bundle_instance_members m ON m.bundle_instance_id = r.subject_instance_id
JOIN service_instances member ON member.id = m.member_instance_id
WHERE r.request_type = 'create' AND r.status IN ('in_progress', 'completed')
  AND member.instance_state = 'provisioning' AND NOT EXISTS (
      SELECT FROM steps s WHERE s.request_id = r.id AND s.component = m.component_name
        AND (s.status NOT IN ('completed', 'skipped') OR s.skip_reason IN ('dependency', 'aborted')))
UNION ALL
SELECT 'a bundle lives without a member: ' || member.instance_state
FROM service_instances bundle
JOIN bundle_instance_members m ON m.bundle_instance_id = bundle.id
JOIN service_instances member ON member.id = m.member_instance_id
WHERE bundle.instance_state = 'active' AND member.instance_state IN ('provisioning', 'failed')
   OR bundle.instance_state = 'decommissioned' AND member.instance_state <> 'decommissioned'
UNION ALL
SELECT 'what is gone still needs something: ' || si.instance_id
FROM service_instance_dependencies d
JOIN service_instances si ON si.id = d.dependent_instance_id AND si.instance_state = 'decommissioned'
"""


async def violations(connection: Connection) -> list[str]:
    """What does not hold, in words; empty when all is well."""
    cursor = await connection.execute(VIOLATIONS)
    return [row[0] for row in await cursor.fetchall()]
