"""What `pao catalog diff` finds, and how it prints that: as text, JSON, or Markdown for a pull request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bot.cli.acting import acting
from bot.cli.output import printable

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine.catalog.diff import CatalogDiff, DocumentChange, FieldChange, Unreadable
    from engine.catalog.repository import Mirror
    from engine.catalog.touched import Touched

SHORT: Final = 12
"""Characters of a commit."""

IDS: Final = 10
"""Instances that text and Markdown name; JSON has a hundred."""

VALUE: Final = 60
"""Characters of a property's value; JSON has all."""


async def compared(
    invocation: Invocation, old: str, new: str, repository: Path | None, *, mirror: bool
) -> CatalogDiff:
    """Compare two references; NotFound for one that names no commit."""
    from engine.catalog.commits import in_thread
    from engine.catalog.diff import compare
    from engine.catalog.plugins import installed

    source = _repository(repository) if not mirror else _mirror(invocation)
    if mirror:
        head = await in_thread(source, source.fetch)
        branch = re.escape(source.branch)
        old, new = (re.sub(rf"\A(HEAD|{branch})(?![^~^])", head, ref) for ref in (old, new))
    commits = [await asyncio.to_thread(source.resolve, ref) for ref in (old, new)]
    return await in_thread(source, compare, source, commits[0], commits[1], installed())


async def instances_of(
    invocation: Invocation, found: CatalogDiff, user_id: str | None
) -> list[Touched] | None:
    """Return the instances that the changes are about; None, and a word of why, without a database."""
    from engine.errors import Unavailable

    try:
        async with invocation.engine() as engine:
            actor = await acting(engine, user_id)
            return await engine.touched_instances(actor, found.changes)
    except Unavailable as error:
        invocation.output.note(
            f"Which instances this touches is not known: {printable(str(error))} "
            "`--no-instances` does not ask."
        )
        return None


def as_data(found: CatalogDiff, touched: Sequence[Touched] | None) -> dict[str, Any]:
    """Return the JSON; `instances` is null where no database was asked."""
    return {
        "from_commit": found.old,
        "to_commit": found.new,
        "changes": [
            {
                "kind": change.kind,
                "name": change.name,
                "change": change.change,
                "file": change.file,
                "from_version": change.from_version,
                "to_version": change.to_version,
                "version_kept": change.version_kept,
                "parts": list(change.parts),
                "fields": [asdict(field) for field in change.fields],
            }
            for change in found.changes
        ],
        "unreadable": [asdict(file) for file in found.unreadable],
        "instances": None if touched is None else [asdict(one) for one in touched],
    }


def as_text(found: CatalogDiff, touched: Sequence[Touched] | None) -> str:
    """Return the changes for a terminal."""
    of = _by_document(touched)
    told = [_lost(file) for file in found.unreadable]
    for change in found.changes:
        told.append(f"{change.change.capitalize()}: {_title(change)}")
        told += [f"  {line}" for line in _details(change)]
        if one := of.get((change.kind, change.name)):
            told.append(f"  {_instances(one)}")
    told.append(_summary(found, touched))
    return "\n".join(map(printable, told))


def as_markdown(found: CatalogDiff, touched: Sequence[Touched] | None) -> str:
    """Return the changes as the text of a comment; what documents say stands in code spans."""
    of = _by_document(touched)
    told = ["### Catalog changes", ""]
    told += [f"- :warning: {_code(_lost(file))}" for file in found.unreadable]
    for change in found.changes:
        told.append(f"- **{change.change.capitalize()}** {_code(_title(change))}")
        told += [f"  - {_code(line)}" for line in _details(change)]
        if one := of.get((change.kind, change.name)):
            told.append(f"  - {_code(_instances(one))}")
    return "\n".join([*told, "", _summary(found, touched)])


def _repository(path: Path | None) -> Mirror:
    from engine.catalog.repository import Mirror

    found = Mirror.around(path or Path.cwd())
    if found is None:
        raise click.UsageError(
            f"{path or Path.cwd()} is in no Git repository. Go to a clone of the catalog, name one "
            "by --repository, or take --mirror."
        )
    return found


def _mirror(invocation: Invocation) -> Mirror:
    from bot.settings import clear
    from engine.catalog.repository import Mirror

    settings = invocation.settings
    if settings.catalog_url is None:
        raise click.UsageError("There is no mirror: CATALOG_URL is not set.")
    token = clear(settings.catalog_token)
    return Mirror(settings.data_dir, settings.catalog_url, settings.catalog_branch, token)


def _by_document(touched: Sequence[Touched] | None) -> Mapping[tuple[str, str], Touched]:
    return {(one.kind, one.name): one for one in touched or ()}


def _title(change: DocumentChange) -> str:
    versions = dict.fromkeys(filter(None, (change.from_version, change.to_version)))
    return f"{change.kind} {change.name} {' -> '.join(versions)} ({change.file})"


def _details(change: DocumentChange) -> list[str]:
    told = [f"changed: {', '.join(change.parts)}"] if change.parts else []
    if change.version_kept:
        told.append("the content changed and the version did not")
    return told + [line for field in change.fields for line in _field(field)]


def _field(field: FieldChange) -> list[str]:
    if field.change != "changed":
        return [f"field {field.name}: {field.change}"]
    return [
        f"field {field.name}: {one.name} {_value(one.before)} -> {_value(one.after)}"
        for one in field.properties
    ]


def _value(value: Any) -> str:
    from bot.cli.output import cell

    text = cell(value)
    return text if len(text) <= VALUE else f"{text[: VALUE - 1]}…"


def _instances(one: Touched) -> str:
    named = ", ".join(one.instance_ids[:IDS])
    more = f" and {one.count - IDS} more" if one.count > IDS else ""
    return f"running instances: {one.count} ({named}{more})"


def _lost(file: Unreadable) -> str:
    return f"Could not be read at {file.commit[:SHORT]}: {file.file}: {file.reason}"


def _summary(found: CatalogDiff, touched: Sequence[Touched] | None) -> str:
    verbs = [change.change for change in found.changes]
    counts = ", ".join(f"{verbs.count(verb)} {verb}" for verb in ("added", "changed", "removed"))
    ids = {name for one in touched or () for name in one.instance_ids}
    is_whole = all(one.count == len(one.instance_ids) for one in touched or ())
    instances = (
        "Running instances were not looked at."
        if touched is None
        else f"{len(ids)}{'' if is_whole else ' or more'} running instances are touched."
    )
    return f"{found.old[:SHORT]} to {found.new[:SHORT]}: {counts}. {instances}"


def _code(text: str) -> str:
    """Return a code span that its own contents cannot end, on one line."""
    plain = printable(text)
    ticks = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    pad = " " if ticks != "`" else ""
    return f"{ticks}{pad}{plain}{pad}{ticks}"
