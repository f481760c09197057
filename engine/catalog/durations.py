"""Lengths of time in documents: see engine.durations, which the step types share."""

from engine.durations import ALLOWED, LONGEST, format_duration, parse_duration

__all__ = ["ALLOWED", "LONGEST", "format_duration", "parse_duration"]
