"""`pao catalog`: sync the catalog, look into it, check it before it is merged."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, group
from bot.cli.errors import DONE, NO, UNREACHABLE
from bot.cli.output import encode, lines, printable, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine import Actor, CatalogDetails, CatalogEntry, Engine, SyncReport
    from engine.catalog.documents import Kind

UNREACHABLE_CODES = frozenset({"catalog_unreachable", "catalog_mirror_broken"})
"""Why a sync fails that may go better next time: the remote, not what stands in it."""

KINDS = ("CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem")

VALIDATE_FORMATS = ("text", "json", "github", "sarif")
DIFF_FORMATS = ("text", "json", "markdown")
_PATH = click.Path(exists=True, path_type=Path)

catalog = group("catalog", "Sync, list, check and render the catalog.")

kind_option = click.option("--kind", type=click.Choice(KINDS), help="One kind alone.")


@catalog.command("sync")
@click.option("--url", metavar="U", help="Another repository than CATALOG_URL.")
@click.option("--branch", metavar="B", help="Another branch than CATALOG_BRANCH.")
@as_option
async def sync(
    invocation: Invocation, *, url: str | None, branch: str | None, user_id: str | None
) -> int:
    """Bring the catalog up to the repository; exit 1 when a file has errors."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        report = await engine.sync_catalog(actor, trigger="cli", url=url, branch=branch)
    if report.status == "failed":
        return _sync_failed(invocation, report)
    invocation.output.record(asdict(report), text=_sync_text(report))
    return NO if report.errors else DONE


@catalog.command("list")
@kind_option
@click.option("--category", metavar="C", help="One category alone.")
@click.option("--tag", metavar="T", help="Only what has the tag.")
@click.option("--owner", metavar="TEAM", help="Only what the team owns.")
@click.option("--search", metavar="WORDS", help="Only what has these words, the best hit first.")
@click.option("--limit", type=int, default=50, show_default=True, help="Most entries.")
@click.option("--cursor", metavar="C", help="Where the page before ended (next_cursor).")
@as_option
async def list_(
    invocation: Invocation,
    *,
    kind: str | None,
    category: str | None,
    tag: str | None,
    owner: str | None,
    search: str | None,
    limit: int,
    cursor: str | None,
    user_id: str | None,
) -> None:
    """List what the catalog offers."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        page = await engine.catalog_entries(
            actor,
            text=search,
            kind=kind,
            category=category,
            tag=tag,
            owner=owner,
            limit=limit,
            cursor=cursor,
        )
    rows = [_entry_json(entry) for entry in page.items]
    invocation.output.rows(
        rows,
        ["kind", "name", "version", "category", "owner", "lifecycle", "display_name"],
        data={"items": rows, "next_cursor": page.next_cursor},
        empty="The catalog has nothing like that.",
    )
    if page.next_cursor:
        invocation.output.note(f"There is more: --cursor {page.next_cursor}")


@catalog.command("get")
@click.argument("name")
@kind_option
@as_option
async def get(invocation: Invocation, *, name: str, kind: str | None, user_id: str | None) -> None:
    """Show one document, what a bundle is made of, and the bundles that an item belongs to."""
    async with invocation.engine() as engine:
        _, details = await _document(engine, name, kind, user_id)
    invocation.output.record(_details_json(details), text=_details_text(details))


@catalog.command("render")
@click.argument("name")
@kind_option
@as_option
async def render(
    invocation: Invocation, *, name: str, kind: str | None, user_id: str | None
) -> None:
    """Print the form of a document as Slack is given it (Block Kit), one view a page."""
    from bot.forms.form import form_of, untouched
    from bot.forms.meta import Meta
    from bot.forms.pages import draw, pages

    async with invocation.engine() as engine:
        actor, details = await _document(engine, name, kind, user_id)
        is_bundle = details.entry.kind == "CatalogBundle"
        parts = await engine.bundle_components(actor, details.entry.name) if is_bundle else ()
    form = form_of(details, actor, components=[(part, {}) for part in parts])
    filled = untouched(form, actor)
    views = [
        draw(form, filled, replace(Meta.of(form), page=page))
        for page in range(len(pages(form, filled)))
    ]
    invocation.output.data({"views": views})


@catalog.command("validate")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=_PATH)
@click.option("--strict", is_flag=True, help="Turn warnings into errors.")
@click.option(
    "--format", "form", type=click.Choice(VALIDATE_FORMATS), help="How to print findings."
)
def validate(
    invocation: Invocation, *, paths: tuple[Path, ...], strict: bool, form: str | None
) -> int:
    """Check documents without a database; exit 1 when something is wrong.

    PATH is a file or a folder. What documents refer to is looked up in their whole repository.
    """
    from bot.cli.findings import as_data, formatted
    from engine.catalog.findings import as_errors
    from engine.catalog.folder import validate_paths
    from engine.catalog.plugins import installed

    report = validate_paths(paths, installed())
    findings = as_errors(report.findings) if strict else list(report.findings)
    if form is None and invocation.output.format != "table":
        invocation.output.data(as_data(findings, len(report.documents)))
    else:
        click.echo(formatted(form or "text", findings, len(report.documents)))
    return NO if any(finding.is_error for finding in findings) else DONE


@catalog.command("diff")
@click.argument("old", metavar="REF")
@click.argument("new", metavar="REF")
@click.option(
    "--repository",
    metavar="PATH",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A clone of the catalog; default: the one around the working directory.",
)
@click.option("--mirror", is_flag=True, help="The mirror of CATALOG_URL instead, fetched anew.")
@click.option("--no-instances", is_flag=True, help="Ask no database for instances.")
@click.option("--format", "form", type=click.Choice(DIFF_FORMATS), help="How to print the changes.")
@as_option
async def diff(
    invocation: Invocation,
    *,
    old: str,
    new: str,
    repository: Path | None,
    mirror: bool,
    no_instances: bool,
    form: str | None,
    user_id: str | None,
) -> int:
    """Tell what the catalog of the second REF changes against the first.

    A REF is a branch, a tag, a commit or HEAD~2; in the mirror HEAD is the synced branch. Exit 1
    when a document at either could not be read, since then something may be missing here.
    """
    from bot.cli.catalog_diff import as_data, as_markdown, as_text, compared, instances_of

    found = await compared(invocation, old, new, repository, mirror=mirror)
    touched = None if no_instances else await instances_of(invocation, found, user_id)
    if form is None and invocation.output.format != "table":
        invocation.output.data(as_data(found, touched))
    elif form == "json":
        click.echo(encode(as_data(found, touched), "json"))
    else:
        click.echo((as_markdown if form == "markdown" else as_text)(found, touched))
    return NO if found.unreadable else DONE


@catalog.command("schema")
@kind_option
@click.option("--types", type=_PATH, help="A types.yaml; default: the repository's here.")
def schema(invocation: Invocation, *, kind: Kind | None, types: Path | None) -> None:
    """Print the JSON Schema of documents, by which editors complete and check."""
    from engine.catalog.document_schema import document_schema
    from engine.catalog.folder import own_types

    invocation.output.data(document_schema(kind, own_types(types)))


@catalog.command("stats")
@as_option
async def stats(invocation: Invocation, *, user_id: str | None) -> None:
    """Count what the catalog holds and what is asked for, and show the last syncs."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        counts = await engine.catalog_stats(actor)
    invocation.output.record(dict(counts), text=_stats_text(counts))


async def _document(
    engine: Engine, name: str, kind: str | None, user_id: str | None
) -> tuple[Actor, CatalogDetails]:
    """Return who asks and the document; a name of several kinds without `--kind` is wrong usage."""
    from engine.errors import InvalidInput

    actor = await acting(engine, user_id)
    try:
        return actor, await engine.catalog_entry(actor, name, kind)
    except InvalidInput as error:
        if error.code != "ambiguous_name":
            raise
        raise click.UsageError(str(error)) from error


def _entry_json(entry: CatalogEntry) -> dict[str, Any]:
    return asdict(entry)


def _details_json(details: CatalogDetails) -> dict[str, Any]:
    facts = asdict(details)
    return _entry_json(details.entry) | {k: v for k, v in facts.items() if k != "entry"}


def _details_text(details: CatalogDetails) -> str:
    facts = _entry_json(details.entry) | {
        "components": [
            f"{one.name} ({one.catalog_item}, {_need(one.is_required)})"
            for one in details.components
        ],
        "bundles": [
            f"{bundle['name']} ({_need(bundle['is_required'])})" for bundle in details.bundles
        ],
        "commit": details.commit,
        "path": details.path,
    }
    return lines({key: value for key, value in facts.items() if value not in (None, "", [], ())})


def _need(is_required: bool) -> str:
    return "required" if is_required else "optional"


def _sync_failed(invocation: Invocation, report: SyncReport) -> int:
    """Tell why, beside the report; the catalog that is in service stays."""
    error = {"code": report.error_code, "message": report.error_message}
    told = [_finding_text("Error", finding) for finding in report.errors]
    told.append("The catalog stays as it was.")
    invocation.output.record(asdict(report) | {"error": error}, text="\n".join(told))
    invocation.output.note(f"Error: {printable(report.error_message or '', lines=True)}")
    return UNREACHABLE if report.error_code in UNREACHABLE_CODES else NO


def _sync_text(report: SyncReport) -> str:
    told = [_finding_text("Error", finding) for finding in report.errors]
    told += [_finding_text("Warning", finding) for finding in report.warnings]
    told += [_change_text(change) for change in report.changes]
    commit = (report.commit or "")[:12]
    counts = ", ".join(
        f"{number} {kind} {verb}"
        for kind, verbs in report.counts.items()
        for verb, number in verbs.items()
        if number
    )
    told.append(
        f"The catalog is at {commit}: {counts or 'nothing changed'}, {report.unchanged} unchanged, "
        f"{len(report.errors)} errors, {len(report.warnings)} warnings."
    )
    return "\n".join(told)


def _finding_text(word: str, finding: Mapping[str, Any]) -> str:
    place = f"{finding.get('file')}:{finding.get('line')}:{finding.get('column')}"
    return printable(f"{word}: {place}: {finding.get('message')}")


def _change_text(change: Mapping[str, Any]) -> str:
    versions = [v for v in (change.get("from_version"), change.get("to_version")) if v]
    named = f"{change['change'].capitalize()}: {change['kind']} {change['name']}"
    return printable(f"{named} {' -> '.join(dict.fromkeys(versions))}")


def _stats_text(counts: Mapping[str, Any]) -> str:
    parts = [
        table(counts["documents"], ["kind", "lifecycle", "count"]),
        table(counts["categories"], ["category", "count"]),
        table(counts["most_requested"], ["name", "requests", "failed"]),
        table(
            counts["syncs"],
            ["sync_started_at", "status", "trigger", "commit_hash", "error_count", "warning_count"],
        ),
    ]
    return "\n\n".join(parts)
