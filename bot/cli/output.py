"""What commands print: a table for people, JSON or YAML for programs; data alone on stdout.

What only printing needs is imported where it is used: `pao --help` loads this module too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

Format = Literal["table", "json", "yaml"]
FORMATS: tuple[Format, ...] = ("table", "json", "yaml")

NOTHING = "-"
"""What a table shows for an absent value."""


@dataclass(frozen=True, slots=True)
class Output:
    """Prints in the format that was asked for."""

    format: Format = "table"

    def rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str],
        *,
        data: Any = None,
        empty: str = "Nothing found.",
    ) -> None:
        """Print a list: `columns` of each row as a table, else `data` (by default the rows)."""
        if self.format != "table":
            self.data(list(rows) if data is None else data)
        elif rows:
            click.echo(table(rows, columns))
        else:
            click.echo(empty, err=True)

    def record(self, record: Mapping[str, Any], *, text: str | None = None) -> None:
        """Print one thing: as `text`, or a line a key, where a table was asked for."""
        if self.format != "table":
            self.data(record)
        else:
            click.echo(text if text is not None else lines(record))

    def data(self, value: Any) -> None:
        """Print a value as JSON or YAML (JSON where a table was asked for)."""
        click.echo(encode(value, self.format))

    def note(self, text: str) -> None:
        """Say something to a person: on stderr, so that stdout stays data."""
        click.echo(text, err=True)


def encode(value: Any, format: str) -> str:  # noqa: A002
    """Return `value` as JSON or YAML text; times in ISO 8601, decimals as numbers."""
    import json

    if format == "yaml":
        import yaml

        plain = json.loads(json.dumps(value, default=_plain))
        text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
        return text.rstrip("\n")
    return json.dumps(value, default=_plain, indent=2, ensure_ascii=False)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as aligned columns under their titles."""
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    titles = [column.replace("_", " ").upper() for column in columns]
    widths = [max(_width(line[i]) for line in [titles, *cells]) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in [titles, *cells]
    )


def lines(record: Mapping[str, Any], *, exact: bool = False) -> str:
    """Return one line a key, the values aligned; of a mapping one line for each that it holds.

    The keys are titles, unless they are names to be repeated as they are (`exact`).
    """
    titles = {key: printable(key if exact else key.replace("_", " ")) for key in record}
    width = max(map(len, titles.values()), default=0)
    return "\n".join(
        f"{'' if at else titles[key]:{width}}  {text}"
        for key, value in record.items()
        for at, text in enumerate(_lines_of(value))
    )


def _lines_of(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, held in value.items():
            yield from _lines_of(held, f"{name}.{key}" if name else str(key))
    else:
        yield f"{printable(name)}: {cell(value)}" if name else cell(value)


def cell(value: Any) -> str:
    """Return a value as one line of a table."""
    import json
    from datetime import datetime

    match value:
        case None | "" | () | []:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case str():
            return printable(value)
        case Mapping():
            return printable(json.dumps(value, default=_plain, ensure_ascii=False))
        case Sequence():
            return ", ".join(cell(item) for item in value)
    return printable(str(value))


def printable(text: str, *, lines: bool = False) -> str:
    """Return text that cannot steer a terminal; line ends stay where `lines`."""
    import unicodedata

    return "".join(
        " " if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and not (lines and c == "\n") else c
        for c in text
    )


def _width(text: str) -> int:
    """Columns that a terminal needs: two for wide letters, none for combining ones."""
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _plain(value: Any) -> Any:
    from datetime import date, datetime, timedelta
    from decimal import Decimal
    from enum import Enum
    from pathlib import Path

    match value:
        case datetime() | date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Enum():
            return value.value
        case Path():
            return str(value)
        case set() | frozenset():
            return sorted(value)
        case Mapping():
            return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")
