"""Texts as Jira takes them (version 2 of its API: wiki markup)."""

from __future__ import annotations

import re
from typing import Final

LONGEST_SUMMARY: Final = 255
LONGEST_LABEL: Final = 255

LONGEST_TEXT: Final = 32_000
"""Characters; Jira takes 32,767 by default."""

_NOFORMAT = re.compile(r"\{(\s*noformat)", re.IGNORECASE)


def summary(text: str) -> str:
    """Return one line of at most 255 characters."""
    return " ".join(text.split())[:LONGEST_SUMMARY]


def label(text: str) -> str:
    """Return a label: Jira allows no spaces in them."""
    return "-".join(text.split())[:LONGEST_LABEL]


def as_written(text: str) -> str:
    """Return a text that Jira shows as it is, whatever markup it seems to hold."""
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}\n(cut)"
    return "{noformat}\n" + _NOFORMAT.sub(r"{ \1", cut) + "\n{noformat}"


def quoted(text: str) -> str:
    """Return a text as JQL takes it in a query."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
