"""Dispatch: what makes work begin: the claim loop, the scheduler, the consumers of events."""
