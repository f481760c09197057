"""Requests: from a submission to a plan in the database, and from a failure back to work."""
