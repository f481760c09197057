"""Verifications: judgements on what a step has done, one file a family."""
