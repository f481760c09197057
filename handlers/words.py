"""The words after `/pao`: a sub-command, what it is about, options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine import InvalidInput, did_you_mean, quoted, shortened

_CURLY = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_DASHES = re.compile(r"^[—–]+(?=\w)")
_WORD = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Words:
    """A command taken apart: `rest` are the words that are no options."""

    name: str
    rest: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        """The rest as one text."""
        return " ".join(self.rest) or None

    def at(self, place: int) -> str | None:
        """Return one word of the rest."""
        return self.rest[place] if place < len(self.rest) else None

    def need(self, place: int, what: str, usage: str) -> str:
        """Return one word of the rest; InvalidInput where it is missing."""
        word = self.at(place)
        if word is None:
            raise InvalidInput(f"`{self.name}` needs {what}", do=f"Write: /pao {usage}")
        return word

    def after(self, place: int) -> str | None:
        """Return the rest from `place` on as one text."""
        return " ".join(self.rest[place:]) or None


def split(text: str) -> Words:
    """Take a command apart. Slack's curly quotes and long dashes count as what was meant."""
    words = [quoted or bare for quoted, bare in _WORD.findall(text.translate(_CURLY))]
    if not words:
        return Words("help")
    rest: list[str] = []
    options: dict[str, str] = {}
    waiting: str | None = None
    for word in (_DASHES.sub("--", typed) for typed in words[1:]):
        if waiting is not None:
            options[waiting], waiting = word, None
        elif word.startswith("--") and len(word) > 2:
            name, given, value = word[2:].partition("=")
            options[name] = value
            waiting = None if given else name
        else:
            rest.append(word)
    return Words(words[0].casefold(), tuple(rest), options)


def moment_in(text: str | None, zone: str | None) -> datetime | None:
    """Read `--at`: an ISO 8601 time, in the person's own zone where it names none."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone or "UTC"))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise InvalidInput(
            f"{quoted(text)} is no time", do="Write it as 2026-01-31T22:00, in your own time zone"
        ) from error


def known_options(words: Words, known: frozenset[str], usage: str) -> None:
    """Check a command's options; InvalidInput names the first that is unknown or has no value."""
    for name, value in words.options.items():
        if name not in known:
            meant = did_you_mean(name, known)
            raise InvalidInput(
                f"`{words.name}` has no option --{shortened(name)}.{meant}",
                do=f"Write: /pao {usage}",
            )
        if not value:
            raise InvalidInput(f"--{name} needs a value", do=f"Write: /pao {usage}")
