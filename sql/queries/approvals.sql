-- name: insert_approval
-- Ask for an approval, once by its key; nothing where it was asked for already.
INSERT INTO approvals (
    request_id, step_id, component, key, approvers, approver_users, approver_teams, needed,
    self_approval, asked_by, message, fields, resumption, expires_at)
VALUES (
    %(request_id)s, %(step_id)s, %(component)s, %(key)s, %(approvers)s, %(users)s, %(teams)s,
    %(needed)s, %(self_approval)s, %(asked_by)s, %(message)s, %(fields)s, %(resumption)s,
    clock_timestamp() + make_interval(secs => %(expires)s::double precision))
ON CONFLICT (key) DO NOTHING
RETURNING id, expires_at;

-- name: approvals_of
-- The approvals of a request, oldest first, with how many have approved.
SELECT a.id, a.request_id, a.step_id, s.step_id AS step, a.component, a.key, a.status, a.approvers,
       a.approver_users, a.approver_teams, a.needed, a.self_approval, a.asked_by, a.message,
       a.fields, a.resumption, a.expires_at,
       (SELECT count(*) FROM approval_decisions d
        WHERE d.approval_id = a.id AND d.decision = 'approved')::int AS given,
       a.status = 'waiting' AND coalesce(a.expires_at <= clock_timestamp(), FALSE) AS is_overdue
FROM approvals a LEFT JOIN request_steps s ON s.id = a.step_id
WHERE a.request_id = %(request_id)s
ORDER BY a.requested_at, a.id;

-- name: decisions_of
-- What people decided about a request, in their order.
SELECT d.approval_id, d.user_id, d.name, d.decision, d.reason, d.fields, d.source, d.decided_by,
       d.decided_at
FROM approval_decisions d JOIN approvals a ON a.id = d.approval_id
WHERE a.request_id = %(request_id)s
ORDER BY d.decided_at, d.user_id;

-- name: approval_by_key
-- The approval that was asked for under a key, with the decisions on it.
SELECT a.id, a.request_id, a.status, a.needed, a.expires_at,
       extract(epoch FROM a.expires_at - clock_timestamp())::float8 AS seconds_left,
       coalesce(d.decisions, '[]') AS decisions
FROM approvals a
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
        'user_id', user_id, 'name', name, 'decision', decision, 'reason', reason, 'fields', fields)
        ORDER BY decided_at, user_id) AS decisions
    FROM approval_decisions WHERE approval_id = a.id
) d ON TRUE
WHERE a.key = %(key)s;

-- name: insert_decision
-- Keep what a person decided, in the place of what they decided before.
INSERT INTO approval_decisions (
    approval_id, user_id, name, decision, reason, fields, source, decided_by)
VALUES (
    %(approval_id)s, %(user_id)s, %(name)s, %(decision)s, %(reason)s, %(fields)s, %(source)s,
    %(decided_by)s)
ON CONFLICT (approval_id, user_id) DO UPDATE
SET decision = EXCLUDED.decision, reason = EXCLUDED.reason, fields = EXCLUDED.fields,
    source = EXCLUDED.source, decided_by = EXCLUDED.decided_by, decided_at = clock_timestamp()
WHERE approval_decisions.decision <> EXCLUDED.decision;

-- name: end_approval
-- End an approval that waits.
UPDATE approvals SET status = %(status)s, ended_at = clock_timestamp()
WHERE id = %(id)s AND status = 'waiting';

-- name: withdraw
-- Withdraw what a request still waits for: all of it, or what it would go on with.
UPDATE approvals SET status = 'withdrawn', ended_at = clock_timestamp()
WHERE request_id = %(request_id)s AND status = 'waiting'
  AND (NOT %(resumptions_only)s OR resumption IS NOT NULL);

-- name: withdraw_key
-- Withdraw one approval.
UPDATE approvals SET status = 'withdrawn', ended_at = clock_timestamp()
WHERE key = %(key)s AND status = 'waiting';

-- name: overdue_requests
-- Requests with an approval whose time is over.
SELECT request_id FROM approvals
WHERE status = 'waiting' AND expires_at <= clock_timestamp()
  AND (%(request_id)s::uuid IS NULL OR request_id = %(request_id)s)
GROUP BY request_id ORDER BY min(expires_at);

-- name: wake_step
-- Have a step that waits look at once at what became of its approval; one that is just looking, as soon as that
-- look is over (sql/functions/honour_nudge.sql).
UPDATE request_steps
SET next_run_at = CASE WHEN lease_owner IS NULL THEN clock_timestamp() ELSE next_run_at END,
    nudged_token = CASE WHEN lease_owner IS NOT NULL THEN lease_token END
WHERE id = %(id)s AND status = 'running' AND phase <> 'cancel'
  AND (lease_owner IS NOT NULL OR next_run_at IS NOT NULL);

-- name: running_step
-- The internal ids of a step that runs, of a request that is in progress, held until the end.
SELECT s.id, s.request_id FROM request_steps s JOIN service_requests r ON r.id = s.request_id
WHERE r.request_id = %(request)s AND s.step_id = %(step)s AND r.status = 'in_progress'
  AND s.status = 'running' AND s.phase <> 'cancel'
FOR SHARE OF s;

-- name: set_step_outputs
-- Replace the outputs of a completed approval step by what was approved anew.
UPDATE request_steps SET outputs = coalesce(outputs, '{}') || %(outputs)s
WHERE id = %(id)s AND status = 'completed';

-- name: members
-- The active people of teams, and which of the named users are known to be gone.
SELECT user_id, is_active FROM people
WHERE teams && %(teams)s::text[] OR user_id = ANY (%(users)s::text[]);

-- name: count_approvals
-- How many approvals were ever asked for a request.
SELECT count(*) FROM approvals WHERE request_id = %(request_id)s;
