"""Execution: what happens around every step, once: claim, lease, run, verify, finish, retry."""
