"""A value is refused, in words for the person who gave it; and what values are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.catalog import fields as f
from engine.catalog.moments import Clock

Json = Any


class Refused(Exception):
    """A value is not allowed; the message is for the person who gave it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class References(Protocol):
    """What the check must ask of the world; None means that the thing exists and may be chosen."""

    def instance_problem(self, field: f.InstanceField, instance_id: str) -> str | None:
        """Say why the person cannot choose this instance."""

    def user_problem(self, user_id: str) -> str | None:
        """Say why there is no such person."""

    def team_problem(self, team: str) -> str | None:
        """Say why there is no such team."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value is judged by beside its field.

    `options` holds the fetched options of fields with `options_from`; `narrowed` the values that
    `access.limits` leaves to the person, by field.
    """

    clock: Clock = field(default_factory=Clock)
    references: References | None = None
    options: Mapping[str, Sequence[f.Option]] = field(default_factory=dict)
    narrowed: Mapping[str, Sequence[Json]] = field(default_factory=dict)


def sentence(text: str) -> str:
    """Make a sentence of a phrase."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
