"""Requests: from a submission to a plan in the database, and from a failure back to work.

    asked for     submit is the one flow, judging what it judges by; what is ordered has a module a
                  kind: items, bundles (components, bundle_forms), operations, decommission;
                  parameters, dependencies, targets, idempotency, clone
    planned       plan; read from it later: pinned (documents), labels, subject and names (what a
                  step and its templates see), sealed (secrets)
    waits         begin takes a request as far as it goes; approvals, decisions, step_approvals;
                  gates with checks, windows, limits
    goes on       recovery with changes, by_hand, manual, ending; acting is around each verb
    is told       views, approval_views, aftermath, waiting; tickets, reminders

Rows are read and written by engine/store, a module a group of tables.
"""
