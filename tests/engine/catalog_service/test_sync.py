"""The sync, with a real repository and a real database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.catalog import sync as sync_module
from engine.catalog.repository import Mirror
from engine.catalog.sync import Source, Trigger, sync
from engine.config import EngineConfig
from engine.errors import ConfigurationError
from engine.results import SyncReport
from engine.store.listen import listen
from engine.store.pool import Connection, connect
from tests.support.eventually import eventually
from tests.support.founding_rows import Rows
from tests.support.git import GitRepository

NewRepository = Callable[[Mapping[str, str | bytes | None]], GitRepository]


def item(name: str, version: str = "1.0.0", *, extra: str = "", description: str = "One.") -> str:
    return (
        f"name: {name}\nversion: {version}\nowner: team\ndescription: {description}\n{extra}"
        "presentation: {fields: []}\n"
        "fulfillment:\n"
        "  manual: {system: jira, template: {project: P, issue_type: Task, summary: Do it}}\n"
    )


def bundle(name: str, *items: str) -> str:
    components = ", ".join(f"{{catalog_item: {one}}}" for one in items)
    return (
        f"name: {name}\nversion: 1.0.0\nowner: team\ndescription: Several.\n"
        f"bundle: {{required_items: [{components}]}}\npresentation: {{bundle_fields: []}}\n"
    )


def update(name: str, target: str, version_range: str = ">=1.0.0") -> str:
    targets = f"targets: {{catalog_items: [{{name: {target}, version_range: '{version_range}'}}]}}"
    return item(name, extra=f"{targets}\n")


def module_step(path: str) -> str:
    return (
        "  automation:\n    steps:\n"
        f"    - {{name: a, type: TerraformFile, template: {{module_source: {path}}}}}\n"
    )


def source_of(url: str, dsn: str, tmp_path: Path) -> Source:
    return Source(dsn, Mirror(tmp_path / "data", url, "main"))


class Catalog:
    """A repository that is synced into a database, and what can be asked of both."""

    def __init__(self, repository: GitRepository, source: Source, connection: Connection) -> None:
        self.repository = repository
        self.source = source
        self._connection = connection

    async def commit(self, files: Mapping[str, str | bytes | None]) -> SyncReport:
        self.repository.commit({f"catalog/c/{name}": text for name, text in files.items()})
        return await self.sync()

    async def sync(self, trigger: Trigger = "cli") -> SyncReport:
        return await sync(self.source, trigger)

    async def active(self) -> dict[str, str]:
        found = await self.rows("SELECT name, version FROM catalog_entries WHERE is_active")
        return {row["name"]: row["version"] for row in found}

    async def value(self, query: str) -> Any:
        (row,) = await self.rows(query)
        (value,) = row.values()
        return value

    async def rows(self, query: str) -> list[dict[str, Any]]:
        cursor = await self._connection.execute(query)  # type: ignore[arg-type]
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


@pytest.fixture
async def catalog(
    git_repository: NewRepository, tmp_path: Path, dsn: str, connection: Connection
) -> Catalog:
    repository = git_repository({"catalog/c/one.yaml": item("one")})
    return Catalog(repository, source_of(repository.url, dsn, tmp_path), connection)


def codes(findings: Any) -> list[tuple[str, str]]:
    return [(finding["file"].removeprefix("catalog/c/"), finding["code"]) for finding in findings]


def changes(report: SyncReport) -> list[tuple[str, str, str | None, str | None]]:
    return [(c["change"], c["name"], c["from_version"], c["to_version"]) for c in report.changes]


# What lands


async def test_a_commit_lands_with_its_row(catalog: Catalog) -> None:
    report = await catalog.commit(
        {
            "two.yaml": item("two"),
            "b.yaml": bundle("both", "one", "two"),
            "u.yaml": update("u", "one"),
        }
    )
    assert report.status == "completed"
    assert report.commit == catalog.repository.head
    assert report.counts["items"] == {"added": 2, "updated": 0, "removed": 0}
    assert (report.counts["bundles"]["added"], report.counts["updates"]["added"]) == (1, 1)
    assert await catalog.active() == dict.fromkeys(("one", "two", "both", "u"), "1.0.0")
    (row,) = await catalog.rows("SELECT * FROM catalog_sync_status")
    assert (row["status"], row["commit_hash"], row["trigger"]) == (
        "completed",
        report.commit,
        "cli",
    )
    assert (row["items_added"], row["bundles_added"], row["updates_added"]) == (2, 1, 1)
    assert row["duration_ms"] == report.duration_ms
    assert row["sync_completed_at"] >= row["sync_started_at"]
    assert (row["repository_url"], row["branch"]) == (catalog.repository.url, "main")


async def test_a_document_is_stored_as_written(catalog: Catalog) -> None:
    catalog.repository.commit(
        {
            "pao-catalog.yml": "categories: {c: {owner: defaults, channel: C1}}",
            "types.yaml": "size: {base: selection, oneof: [s, m]}",
            "catalog/c/one.yaml": "\n".join(
                [
                    "name: One Thing",
                    "version: 1.2.3-rc.1+b",
                    "description: \"Tab\\tback\\\\slash, line\\nend, 'quotes', ünï\"",
                    "tags: [a, b]",
                    "icon: ':gear:'",
                    "access: {teams: [x]}",
                    "presentation: {fields: [{name: f, type: size, help_text: 1.50}]}".replace(
                        "1.50", "'1.50'"
                    ),
                    "fulfillment:",
                    "  manual:",
                    "    {system: jira, template: {project: P, issue_type: T, summary: '{{ f }}'}}",
                ]
            ),
        }
    )
    report = await catalog.sync()
    assert report.errors == []
    (row,) = await catalog.rows("SELECT * FROM catalog_items")
    assert row["description"] == "Tab\tback\\slash, line\nend, 'quotes', ünï"
    assert (row["name"], row["slug"], row["version"]) == ("One Thing", "one-thing", "1.2.3-rc.1+b")
    assert (row["owner"], row["channel"], row["category"]) == ("defaults", "C1", "c")
    assert (row["tags"], row["icon"], row["access"]) == (["a", "b"], "gear", {"teams": ["x"]})
    assert row["presentation"]["fields"] == [
        {"name": "f", "type": "selection", "oneof": ["s", "m"], "help_text": "1.50"}
    ]
    assert row["source_file_path"] == "catalog/c/one.yaml"
    assert row["source_commit"] == report.commit


async def test_targets_are_normalised_by_the_way(catalog: Catalog) -> None:
    await catalog.commit({"u.yaml": update("u", "one")})
    targets = "SELECT target_name, version_range FROM operation_targets"
    assert await catalog.rows(targets) == [{"target_name": "one", "version_range": ">=1.0.0"}]
    await catalog.commit({"u.yaml": update("u", "one", "^1.0.0")})
    assert await catalog.rows(targets) == [{"target_name": "one", "version_range": "^1.0.0"}]


async def test_what_may_be_done_to_touched_instances_is_judged_again(
    catalog: Catalog, connection: Connection
) -> None:
    async def offered() -> list[tuple[Any, ...]]:
        found = await catalog.rows(
            "SELECT operation_name, operation_version, eligibility_status FROM eligible_operations"
            " WHERE instance_id = (SELECT id FROM service_instances) ORDER BY 1, 2"
        )
        return [tuple(row.values()) for row in found]

    await catalog.sync()
    one = await catalog.value("SELECT id FROM catalog_items WHERE name = 'one'")
    await Rows(connection).instance(item=one)
    await catalog.commit({"u.yaml": update("u", "one")})
    assert await offered() == [("u", "1.0.0", "eligible")]
    await catalog.commit({"u.yaml": update("u", "one", ">=2.0.0")})
    assert await offered() == [("u", "1.0.0", "ineligible")]
    await catalog.commit({"u.yaml": update("u", "one").replace("version: 1.0.0", "version: 1.1.0")})
    assert await offered() == [("u", "1.0.0", "superseded"), ("u", "1.1.0", "eligible")]
    await catalog.commit({"u.yaml": None})
    assert await offered() == [("u", "1.0.0", "superseded"), ("u", "1.1.0", "ineligible")]


async def test_every_process_hears_of_it(catalog: Catalog) -> None:
    heard: list[str | None] = []

    async def hear() -> None:
        async for woken in listen(catalog.source.dsn, ["pao_catalog", "pao_events"]):
            heard.append(woken.channel)  # noqa: PERF401  (it never ends)

    listening = asyncio.create_task(hear())
    await eventually(lambda: heard == [None])
    report = await catalog.sync()
    await eventually(lambda: sorted(map(str, heard)) == ["None", "pao_catalog", "pao_events"])
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    (event,) = await catalog.rows("SELECT kind, data FROM events")
    assert event["kind"] == "catalog.synced"
    assert event["data"]["commit"] == report.commit
    assert event["data"]["changes"] == report.changes


# What changes


async def test_changes_are_told_from_version_to_version(catalog: Catalog) -> None:
    await catalog.commit({"two.yaml": item("two")})
    report = await catalog.commit(
        {"one.yaml": item("one", "1.1.0"), "two.yaml": None, "three.yaml": item("three")}
    )
    assert changes(report) == [
        ("updated", "one", "1.0.0", "1.1.0"),
        ("added", "three", None, "1.0.0"),
        ("removed", "two", "1.0.0", None),
    ]
    assert report.counts["items"] == {"added": 1, "updated": 1, "removed": 1}
    assert report.unchanged == 0


async def test_the_same_commit_again_changes_nothing(catalog: Catalog) -> None:
    first = await catalog.commit({"bad.yaml": "name: [", "two.yaml": item("two", description='""')})
    again = await catalog.sync()
    assert (again.status, again.changes, again.unchanged) == ("unchanged", (), 2)
    assert again.errors == first.errors
    assert again.warnings == first.warnings
    assert again.warnings


async def test_only_the_last_of_the_syncs_that_found_nothing_is_kept(catalog: Catalog) -> None:
    await catalog.sync("start")
    for _ in range(3):
        await catalog.sync("interval")
    await catalog.sync("command")
    rows = await catalog.rows("SELECT trigger FROM catalog_sync_status ORDER BY id")
    assert [row["trigger"] for row in rows] == ["start", "interval", "command"] or [
        row["trigger"] for row in rows
    ] == ["start", "command"]


async def test_only_what_a_change_concerns_is_written(catalog: Catalog) -> None:
    await catalog.commit({"two.yaml": item("two"), "b.yaml": bundle("b", "one")})
    files = "SELECT path, xmin::text FROM catalog_files"
    documents = "SELECT name, xmin::text FROM catalog_items"
    before = [await catalog.rows(files), await catalog.rows(documents)]
    await catalog.commit({"one.yaml": item("one", "1.1.0")})
    after = [await catalog.rows(files), await catalog.rows(documents)]
    touched = [
        {row.get("path") or row.get("name") for row in new if row not in old}
        for old, new in zip(before, after, strict=True)
    ]
    assert touched == [{"catalog/c/one.yaml", "catalog/c/b.yaml"}, {"one"}]


async def test_a_comment_changes_no_document(catalog: Catalog) -> None:
    await catalog.sync()
    report = await catalog.commit({"one.yaml": "# why\n" + item("one")})
    assert (report.changes, report.warnings, report.unchanged) == ([], [], 1)


async def test_content_that_changed_without_its_version_warns_with_both_hashes(
    catalog: Catalog,
) -> None:
    await catalog.sync()
    before = await catalog.value("SELECT source_file_hash FROM catalog_items")
    report = await catalog.commit({"one.yaml": item("one", description="Another.")})
    after = await catalog.value("SELECT source_file_hash FROM catalog_items")
    (warning,) = report.warnings
    assert (warning["code"], warning["file"]) == ("content-changed", "catalog/c/one.yaml")
    assert (warning["line"], warning["path"]) == (2, "version")
    assert before in warning["message"]
    assert after in warning["message"]
    assert report.errors == []
    assert (await catalog.sync()).warnings == []


async def test_a_removed_document_goes_out_of_service_and_comes_back(catalog: Catalog) -> None:
    await catalog.commit({"two.yaml": item("two")})
    identity = await catalog.value("SELECT id FROM catalog_items WHERE name = 'two'")
    report = await catalog.commit({"two.yaml": None})
    assert changes(report) == [("removed", "two", "1.0.0", None)]
    assert await catalog.active() == {"one": "1.0.0"}
    assert await catalog.value("SELECT count(*) FROM catalog_items") == 2
    report = await catalog.commit({"other-name.yaml": item("two")})
    assert changes(report) == [("added", "two", None, "1.0.0")]
    assert await catalog.value("SELECT id FROM catalog_items WHERE name = 'two'") == identity


async def test_a_moved_document_is_the_same(catalog: Catalog) -> None:
    await catalog.sync()
    report = await catalog.commit({"one.yaml": None, "deep/er/moved.yml": item("one")})
    assert report.changes == []
    path = await catalog.value("SELECT source_file_path FROM catalog_items")
    assert path == "catalog/c/deep/er/moved.yml"


async def test_a_document_renamed_within_its_slug_replaces_the_old_one(catalog: Catalog) -> None:
    await catalog.sync()
    report = await catalog.commit({"one.yaml": item("One")})
    assert sorted(changes(report)) == [
        ("added", "One", None, "1.0.0"),
        ("removed", "one", "1.0.0", None),
    ]
    assert await catalog.active() == {"One": "1.0.0"}


# What is broken


async def test_a_broken_document_keeps_its_last_good_version(catalog: Catalog) -> None:
    first = await catalog.commit({"two.yaml": item("two")})
    report = await catalog.commit({"one.yaml": "name: one\nversion: nonsense\n"})
    assert report.status == "completed"
    assert {code for file, code in codes(report.errors) if file == "one.yaml"} >= {
        "invalid-version"
    }
    assert report.changes == []
    assert await catalog.active() == {"one": "1.0.0", "two": "1.0.0"}
    in_row = await catalog.value("SELECT errors FROM catalog_sync_status ORDER BY id DESC LIMIT 1")
    assert in_row == report.errors
    # What it names (modules) is read where it was good; what the others name, at the new commit.
    commits = "SELECT current_catalog_commit(source_file_path, source_commit) FROM catalog_items"
    assert await catalog.value(f"{commits} WHERE name = 'one'") == first.commit
    assert await catalog.value(f"{commits} WHERE name = 'two'") == report.commit
    mended = await catalog.commit({"one.yaml": item("one", "1.1.0")})
    assert mended.errors == []
    assert await catalog.active() == {"one": "1.1.0", "two": "1.0.0"}
    assert await catalog.value(f"{commits} WHERE name = 'one'") == mended.commit


async def test_a_broken_document_stays_reported_while_others_change(catalog: Catalog) -> None:
    await catalog.sync()
    broken = await catalog.commit({"one.yaml": "name: ["})
    later = await catalog.commit({"two.yaml": item("two")})
    assert later.errors == broken.errors
    assert await catalog.active() == {"one": "1.0.0", "two": "1.0.0"}


async def test_a_broken_document_of_a_file_does_not_hide_the_others(catalog: Catalog) -> None:
    both = f"{item('a')}---\n{item('b')}"
    await catalog.commit({"both.yaml": both})
    report = await catalog.commit({"both.yaml": f"{item('a', '2.0.0')}---\nname: b\nversion: ["})
    assert {file for file, _ in codes(report.errors)} == {"both.yaml"}
    assert await catalog.active() == {"one": "1.0.0", "a": "2.0.0", "b": "1.0.0"}
    report = await catalog.commit({"both.yaml": item("a", "2.0.0")})
    assert changes(report) == [("removed", "b", "1.0.0", None)]


async def test_what_was_never_good_does_not_appear(catalog: Catalog) -> None:
    report = await catalog.commit({"bad.yaml": "name: bad\nversion: 1.0.0\n"})
    assert report.errors
    assert await catalog.active() == {"one": "1.0.0"}


async def test_a_document_that_is_broken_only_because_of_another_keeps_its_last_good_version(
    catalog: Catalog,
) -> None:
    await catalog.commit({"two.yaml": item("two"), "b.yaml": bundle("b", "one", "two")})
    report = await catalog.commit({"two.yaml": None})
    assert codes(report.errors) == [("b.yaml", "unknown-item")]
    assert await catalog.active() == {"one": "1.0.0", "b": "1.0.0"}
    again = await catalog.commit({"unrelated.yaml": item("unrelated")})
    assert codes(again.errors) == [("b.yaml", "unknown-item")]
    report = await catalog.commit({"two.yaml": item("two")})
    assert report.errors == []


async def test_the_second_of_two_documents_of_one_name_is_refused(catalog: Catalog) -> None:
    report = await catalog.commit({"zwei.yaml": item("ONE", "2.0.0")})
    assert codes(report.errors) == [("zwei.yaml", "duplicate-name")]
    assert await catalog.active() == {"one": "1.0.0"}
    again = await catalog.commit({"unrelated.yaml": item("unrelated")})
    assert codes(again.errors) == [("zwei.yaml", "duplicate-name")]
    report = await catalog.commit({"one.yaml": None})
    assert report.errors == []
    assert await catalog.active() == {"ONE": "2.0.0", "unrelated": "1.0.0"}


async def test_a_name_that_a_broken_file_keeps_in_service_cannot_be_taken(
    catalog: Catalog,
) -> None:
    await catalog.sync()
    report = await catalog.commit({"one.yaml": "[", "zwei.yaml": item("One", "2.0.0")})
    assert ("zwei.yaml", "duplicate-name") in codes(report.errors)
    assert await catalog.active() == {"one": "1.0.0"}
    report = await catalog.commit({"one.yaml": None})
    assert report.errors == []
    assert await catalog.active() == {"One": "2.0.0"}


async def test_a_module_that_goes_breaks_who_names_it_and_mends_it_when_it_returns(
    catalog: Catalog,
) -> None:
    catalog.repository.commit(
        {
            "modules/m/main.tf": "",
            "catalog/c/one.yaml": item("one") + module_step("modules/m"),
        }
    )
    assert (await catalog.sync()).errors == []
    catalog.repository.commit({"modules/m/main.tf": None})
    report = await catalog.sync()
    assert codes(report.errors) == [("one.yaml", "unknown-module")]
    assert await catalog.active() == {"one": "1.0.0"}
    catalog.repository.commit({"modules/m/main.tf": ""})
    assert (await catalog.sync()).errors == []


async def test_own_types_that_change_are_judged_with_the_documents_that_use_them(
    catalog: Catalog,
) -> None:
    uses = item("two").replace("fields: []", "fields: [{name: f, type: size, default: s}]")
    catalog.repository.commit(
        {"types.yaml": "size: {base: selection, oneof: [s, m]}", "catalog/c/two.yaml": uses}
    )
    assert (await catalog.sync()).errors == []
    catalog.repository.commit({"types.yaml": "size: {base: selection, oneof: [m, l]}"})
    report = await catalog.sync()
    assert {file for file, _ in codes(report.errors)} == {"two.yaml"}
    stored = "SELECT presentation #> '{fields,0,oneof}' FROM catalog_items WHERE name = 'two'"
    assert await catalog.value(stored) == ["s", "m"]
    catalog.repository.commit({"types.yaml": "size: {base: selection, oneof: [s, m, l]}"})
    assert (await catalog.sync()).errors == []
    assert await catalog.value(stored) == ["s", "m", "l"]


async def test_a_broken_type_leaves_what_uses_it_as_it_was(catalog: Catalog) -> None:
    uses = item("two").replace("fields: []", "fields: [{name: f, type: size}]")
    catalog.repository.commit(
        {"types.yaml": "size: {base: selection, oneof: [s, m]}", "catalog/c/two.yaml": uses}
    )
    await catalog.sync()
    catalog.repository.commit({"types.yaml": "size: {base: nonsense}"})
    report = await catalog.sync()
    assert {finding["file"] for finding in report.errors} == {"types.yaml"}
    stored = "SELECT presentation #>> '{fields,0,type}' FROM catalog_items WHERE name = 'two'"
    assert await catalog.value(stored) == "selection"
    assert await catalog.active() == {"one": "1.0.0", "two": "1.0.0"}
    later = await catalog.commit({"three.yaml": item("three")})
    assert {finding["file"] for finding in later.errors} == {"types.yaml"}
    assert await catalog.active() == dict.fromkeys(("one", "two", "three"), "1.0.0")


async def test_broken_settings_change_nothing(catalog: Catalog) -> None:
    await catalog.sync()
    catalog.repository.commit({"pao-catalog.yml": "roots: [catalog, nowhere]"})
    report = await catalog.commit({"two.yaml": item("two")})
    assert (report.status, report.error_code) == ("failed", "catalog_settings_broken")
    assert "nowhere" in (report.error_message or "")
    assert [error["file"] for error in report.errors] == ["pao-catalog.yml"]
    assert await catalog.active() == {"one": "1.0.0"}
    catalog.repository.commit({"pao-catalog.yml": None})
    assert (await catalog.sync()).status == "completed"


async def test_links_are_followed_inside_the_repository_only(catalog: Catalog) -> None:
    folder = catalog.repository.path / "catalog/c"
    (catalog.repository.path / "shared.txt").write_text(item("shared"))
    for name, target in {
        "inside.yaml": "../../shared.txt",
        "outside.yaml": "../../../etc/passwd",
        "absolute.yaml": "/etc/passwd",
        "nowhere.yaml": "gone.yaml",
        "round.yaml": "round.yaml",
        "folder.yaml": "..",
    }.items():
        (folder / name).symlink_to(target)
    catalog.repository.commit_all()
    report = await catalog.sync()
    assert codes(report.errors) == [
        ("absolute.yaml", "link-outside"),
        ("folder.yaml", "unreadable-file"),
        ("nowhere.yaml", "unreadable-file"),
        ("outside.yaml", "link-outside"),
        ("round.yaml", "unreadable-file"),
    ]
    assert await catalog.active() == {"one": "1.0.0", "shared": "1.0.0"}


async def test_a_file_that_grew_too_large_keeps_what_it_held(catalog: Catalog) -> None:
    await catalog.sync()
    report = await catalog.commit({"one.yaml": item("one", "1.1.0") + "# " + "x" * (1 << 20)})
    assert codes(report.errors) == [("one.yaml", "file-too-large")]
    assert await catalog.active() == {"one": "1.0.0"}
    assert codes((await catalog.commit({"two.yaml": item("two")})).errors) == codes(report.errors)
    await catalog.commit({"one.yaml": item("one", "1.1.0")})
    assert await catalog.active() == {"one": "1.1.0", "two": "1.0.0"}


# What fails


async def test_a_deleted_branch_leaves_the_catalog_and_a_row_that_says_why(
    catalog: Catalog,
) -> None:
    await catalog.sync()
    catalog.repository.git("branch", "-m", "main", "trunk")
    report = await catalog.sync()
    assert (report.status, report.error_code) == ("failed", "catalog_branch_missing")
    assert await catalog.active() == {"one": "1.0.0"}
    row = "SELECT status, error_message FROM catalog_sync_status ORDER BY id DESC LIMIT 1"
    (last,) = await catalog.rows(row)
    assert last == {"status": "failed", "error_message": report.error_message}
    catalog.repository.git("branch", "main")
    assert (await catalog.sync()).status == "unchanged"
    report = await catalog.sync("interval")
    assert report.status == "unchanged"


async def test_a_remote_that_is_gone_fails_once_and_the_next_sync_recovers(
    catalog: Catalog,
) -> None:
    await catalog.sync()
    away = catalog.repository.path.rename(catalog.repository.path.with_name("away"))
    for _ in range(3):
        report = await catalog.sync("interval")
        assert (report.status, report.error_code) == ("failed", "catalog_unreachable")
    # A remote that stays away is news once.
    assert (
        await catalog.value("SELECT count(*) FROM events WHERE data ->> 'status' = 'failed'") == 1
    )
    away.rename(catalog.repository.path)
    report = await catalog.commit({"two.yaml": item("two")})
    assert report.status == "completed"
    assert await catalog.active() == {"one": "1.0.0", "two": "1.0.0"}


async def test_rewritten_history_is_taken_as_it_is(catalog: Catalog) -> None:
    await catalog.commit({"two.yaml": item("two")})
    catalog.repository.git("reset", "--quiet", "--hard", "HEAD~1")
    report = await catalog.commit({"three.yaml": item("three")})
    assert report.status == "completed"
    assert await catalog.active() == {"one": "1.0.0", "three": "1.0.0"}


async def test_a_mirror_that_is_damaged_is_made_anew(catalog: Catalog, tmp_path: Path) -> None:
    await catalog.sync()
    blob = catalog.repository.git("rev-parse", "HEAD:catalog/c/one.yaml")
    (mirror,) = (tmp_path / "data/catalog").glob("*.git")
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()
    report = await catalog.commit({"two.yaml": item("two")})
    assert (report.status, report.errors) == ("completed", [])
    assert await catalog.active() == {"one": "1.0.0", "two": "1.0.0"}


def test_a_sync_without_a_repository_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CATALOG_URL"):
        Source.of(EngineConfig("dsn", tmp_path))


@pytest.mark.parametrize(
    ("url", "token"),
    [
        (None, "secret"),
        ("https://git.example/other.git", "secret"),
        ("https://elsewhere.example/catalog.git", None),
        ("https://git.example:8443/catalog.git", None),
    ],
)
def test_the_token_goes_to_the_host_that_it_is_for(
    tmp_path: Path, url: str | None, token: str | None
) -> None:
    home = "https://git.example/catalog.git"
    config = EngineConfig("dsn", tmp_path, catalog_url=home, catalog_token="secret")
    assert Source.of(config, url).mirror._token == token


async def test_another_repository_replaces_the_catalog(
    catalog: Catalog, git_repository: NewRepository, tmp_path: Path
) -> None:
    await catalog.sync()
    other = git_repository({"catalog/c/one.yaml": item("one"), "catalog/c/x.yaml": item("x")})
    source = source_of(other.url, catalog.source.dsn, tmp_path)
    report = await sync(source, "cli")
    assert changes(report) == [("added", "x", None, "1.0.0")]
    assert (await sync(source, "cli")).status == "unchanged"


# Who else syncs


async def test_of_two_syncs_at_once_one_does_the_work(catalog: Catalog) -> None:
    reports = await asyncio.gather(*(catalog.sync() for _ in range(3)))
    assert sorted(report.status for report in reports) == ["completed", "unchanged", "unchanged"]
    assert await catalog.value("SELECT count(*) FROM events") == 1
    assert (
        await catalog.value("SELECT count(*) FROM catalog_sync_status WHERE status = 'running'")
        == 0
    )


async def test_a_sync_that_deadlocks_with_a_submission_is_written_once_more(
    catalog: Catalog, dsn: str, connection: Connection
) -> None:
    await catalog.commit({"set.yaml": bundle("set", "one")})
    async with await connect(dsn) as submission:
        # Who asked last is not the one that gives way.
        await submission.execute("SET deadlock_timeout = '1h'")
        await submission.execute("BEGIN")
        await _hold(submission, "items", "one")
        gone_and_changed = {"set.yaml": None, "one.yaml": item("one", "1.1.0")}
        syncing = asyncio.create_task(catalog.commit(gone_and_changed))
        await eventually(lambda: _sync_waits(connection))
        await _hold(submission, "bundles", "set")
        await submission.execute("COMMIT")
    report = await syncing
    assert (report.status, report.error_message) == ("completed", None)
    assert await catalog.active() == {"one": "1.1.0"}


async def _hold(connection: Connection, kind: str, name: str) -> None:
    """Hold a document as a submission does."""
    statement = f"SELECT FROM catalog_{kind} WHERE name = %s FOR SHARE"
    await connection.execute(statement.encode(), (name,))


async def _sync_waits(connection: Connection) -> bool:
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'pao-sync'"
        " AND wait_event_type = 'Lock')"
    )
    (waits,) = await cursor.fetchone() or (False,)
    return bool(waits)


async def test_a_sync_whose_process_died_is_closed_by_the_next(
    catalog: Catalog, connection: Connection
) -> None:
    await connection.execute(
        "INSERT INTO catalog_sync_status (sync_started_at, status, repository_url, branch)"
        " VALUES (clock_timestamp(), 'running', 'x', 'main')"
    )
    await catalog.sync()
    rows = await catalog.rows("SELECT status, error_message FROM catalog_sync_status ORDER BY id")
    assert [row["status"] for row in rows] == ["failed", "completed"]
    assert "ended before" in rows[0]["error_message"]


async def test_a_sync_that_lost_its_lock_writes_nothing(
    catalog: Catalog, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sync_module.survey

    def cut_off(*arguments: Any) -> Any:
        found = real(*arguments)
        asyncio.run_coroutine_threadsafe(_end_session(connection), loop).result()
        return found

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(sync_module, "survey", cut_off)
    with pytest.raises(Exception, match="database"):
        await catalog.sync()
    assert await catalog.active() == {}
    monkeypatch.setattr(sync_module, "survey", real)
    assert (await catalog.sync()).status == "completed"


async def _end_session(connection: Connection) -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'pao-sync'"
    )


async def test_a_large_sync_is_read_in_another_process_with_the_same_outcome(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{n}.yaml": item(f"item-{n}") for n in range(120)} | {"bad.yaml": "name: ["}
    read_here: list[str] = []
    monkeypatch.setattr(sync_module, "in_thread", _noting(read_here, sync_module.in_thread))
    report = await catalog.commit(files)
    assert "digest" not in read_here
    assert report.counts["items"]["added"] == 121
    assert codes(report.errors) == [("bad.yaml", "yaml-syntax")]
    report = await catalog.commit({"7.yaml": item("item-7", "2.0.0")})
    assert "digest" not in read_here, "what stands wrong elsewhere does not make it large"
    assert changes(report) == [("updated", "item-7", "1.0.0", "2.0.0")]
    assert report.unchanged == 120
    report = await catalog.commit({"new.yaml": item("new")})
    assert "digest" in read_here
    assert [change["name"] for change in report.changes] == ["new"]


def _noting(names: list[str], function: Any) -> Any:
    async def noted(mirror: Any, called: Any, *arguments: Any) -> Any:
        names.append(called.__name__)
        return await function(mirror, called, *arguments)

    return noted


async def test_what_a_column_cannot_hold_is_a_finding_and_not_a_failed_sync(
    catalog: Catalog,
) -> None:
    long_duration = f"'{'0' * 60}30m'"
    catalog.repository.commit(
        {
            f"catalog/{'c' * 101}/two.yaml": item("two"),
            "catalog/c/u.yaml": update("u", "one").replace(
                "targets: {", f"targets: {{estimated_duration: {long_duration}, "
            ),
        }
    )
    report = await catalog.sync()
    assert report.status == "completed"
    assert [error["code"] for error in report.errors] == ["too-long"]
    assert await catalog.active() == {"one": "1.0.0", "u": "1.0.0"}


async def test_a_full_disk_leaves_the_catalog_and_says_so(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalog.sync()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(
        "#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\nexit 128\n"
    )
    (programs / "git").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        report = await catalog.sync()
    assert (report.status, report.error_code) == ("failed", "catalog_mirror_not_writable")
    assert "No space left" in (report.error_message or "")
    assert await catalog.active() == {"one": "1.0.0"}
    assert (await catalog.sync()).status == "unchanged"
