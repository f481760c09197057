"""A small change, judged by what it concerns, gives what looking at everything gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.catalog.checks import Known
from engine.catalog.digest import digest
from engine.catalog.outcome import Before, Digest
from engine.catalog.repository import Mirror
from engine.catalog.small_change import around, judged, look
from engine.catalog.survey import survey
from engine.catalog.sync import Source, sync
from engine.store import catalog as store
from engine.store.pool import Connection
from tests.support.git import GitRepository

NewRepository = Callable[[Mapping[str, str | bytes | None]], GitRepository]
MANUAL = "manual: {system: jira, template: {project: P, issue_type: T, summary: S}}"
PATHS = [f"catalog/c{n % 2}/{n}.yaml" for n in range(9)]


def item(name: str, version: str = "1.0.0", *, needs: str = "", more: str = "") -> str:
    dependencies = f"dependencies: [{{catalog_item: {needs}, required: false}}]\n" if needs else ""
    return (
        f"name: {name}\nversion: {version}\nowner: o\n{more}{dependencies}"
        f"presentation: {{fields: []}}\nfulfillment: {{{MANUAL}}}\n"
    )


def some_document(choice: random.Random, number: int) -> str:
    """Return a document of that file, mostly a good one; without description, so with a warning."""
    version = choice.choice(["1.0.0", "1.1.0", "1.2.0"])
    other = f"d{choice.randrange(9)}"
    match choice.randrange(12):
        case 0:
            return item(f"d{choice.randrange(9)}", version)
        case 1:
            return item(f"d{number}", version, needs=other)
        case 2 | 3:
            return (
                f"name: b{number}\nversion: {version}\nowner: o\ndescription: d\n"
                f"bundle: {{required_items: [{{catalog_item: {other}}}]}}\n"
                "presentation: {bundle_fields: []}\n"
            )
        case 4:
            targets = f"targets: {{catalog_items: [{{name: {other}, version_range: '*'}}]}}\n"
            return item(f"u{number}", version, more=f"description: d\n{targets}")
    return item(f"d{number}", version, more=choice.choice(["", "description: d\n"]))


class Histories:
    """A repository and its catalog, both changed step by step."""

    def __init__(self, repository: GitRepository, source: Source, connection: Connection) -> None:
        self.repository = repository
        self.source = source
        self.connection = connection

    async def small(self, commit: str) -> Digest | None:
        last = await store.last_sync(self.connection)
        assert last is not None
        assert last.commit_hash is not None
        mirror = self.source.mirror
        mirror.fetch()
        with mirror.objects(commit) as objects:
            seen = look(mirror, objects, last.commit_hash, commit, Known())
            before = await around(self.connection, seen) if seen else None
            return judged(objects, seen, before, last) if seen and before else None

    async def broken(self) -> set[str]:
        return {row.path for row in await store.files(self.connection) if row.is_broken}

    async def whole(self, commit: str) -> Digest:
        files = {row.path: row for row in await store.files(self.connection)}
        before = Before(files, await store.documents(self.connection), everything=False)
        return digest(self.source.mirror, survey(self.source.mirror, commit), before, Known())


@pytest.fixture
async def histories(
    git_repository: NewRepository, tmp_path: Path, dsn: str, connection: Connection
) -> Histories:
    files = {path: item(f"d{number}") for number, path in enumerate(PATHS)}
    repository = git_repository({**files, "modules/x/main.tf": "a"})
    source = Source(dsn, Mirror(tmp_path / "data", repository.url, "main"))
    await sync(source, "cli")
    return Histories(repository, source, connection)


def same(small: Digest, whole: Digest) -> None:
    assert small.changes == whole.changes
    assert small.findings == whole.findings
    assert small.unchanged == whole.unchanged
    assert rows_of(small) == rows_of(whole)
    # The whole judges files with standing errors again, and finds what it found.
    assert set(small.files.splitlines()) <= set(whole.files.splitlines())
    assert set(small.replaced) <= set(whole.replaced)
    assert set(small.gone) == set(whole.gone)
    assert small.broken is None


def rows_of(outcome: Digest) -> list[bytes]:
    return sorted(row for rows in outcome.documents.values() for row in rows.splitlines())


@pytest.mark.parametrize("seed", range(4))
async def test_over_random_histories_it_says_the_same(histories: Histories, seed: int) -> None:
    choice = random.Random(seed)
    said = said_beside_errors = 0
    for _ in range(20):
        numbers = choice.sample(range(9), choice.randint(1, 2))
        edits: dict[str, str | bytes | None] = {
            PATHS[n]: some_document(choice, n)
            if choice.random() < 0.9 or not (histories.repository.path / PATHS[n]).exists()
            else None
            for n in numbers
        }
        commit = histories.repository.commit(edits)
        small = await histories.small(commit)
        if small is not None:
            said += 1
            said_beside_errors += any(finding.is_error for finding in small.findings)
            same(small, await histories.whole(commit))
            assert await histories.broken() == set((await histories.whole(commit)).broken or ())
        report = await sync(histories.source, "cli")
        if len(report.errors) > 2:  # mended, so that the next step is small again
            mended = {PATHS[n]: item(f"d{n}", f"2.0.{choice.randrange(99)}") for n in range(9)}
            histories.repository.commit(dict(mended))
            assert not (await sync(histories.source, "cli")).errors
            assert not await histories.broken()
    assert said > 3
    assert said_beside_errors or seed > 1


async def test_what_is_not_small_and_sound_is_left_to_the_whole(histories: Histories) -> None:
    one = PATHS[0]
    for edits in (
        {one: item("d0", "broken")},
        {one: item("d0", "1.1.0", needs="nowhere")},
        {one: item("d1", "1.1.0")},
        {"types.yaml": "size: {base: string}\n"},
        {"pao-catalog.yml": "roots: [catalog]\n"},
        {"modules/x/main.tf": None},
        {f"catalog/many/{n}.yaml": item(f"many-{n}") for n in range(100)},
    ):
        base = histories.repository.head
        commit = histories.repository.commit(dict(edits))
        assert await histories.small(commit) is None, edits
        histories.repository.git("reset", "--quiet", "--hard", base)


async def test_what_a_link_leads_to_is_left_to_the_whole(histories: Histories) -> None:
    link = histories.repository.path / "catalog" / "link.yaml"
    (histories.repository.path / "shared.yaml").write_text(item("linked"))
    link.symlink_to("../shared.yaml")
    linked = histories.repository.commit_all()
    assert await histories.small(linked) is None
    await sync(histories.source, "cli")
    beside = histories.repository.commit({PATHS[0]: item("d0", "1.1.0")})
    assert await histories.small(beside) is not None
    changed = histories.repository.commit({"shared.yaml": item("linked", "1.1.0")})
    assert await histories.small(changed) is None
    report = await sync(histories.source, "cli")
    assert {change["name"]: change["to_version"] for change in report.changes} == {
        "d0": "1.1.0",
        "linked": "1.1.0",
    }


async def test_what_a_dangling_link_may_wait_for_is_left_to_the_whole(
    histories: Histories,
) -> None:
    (histories.repository.path / "catalog" / "link.yaml").symlink_to("../shared.yaml")
    histories.repository.commit_all()
    assert (await sync(histories.source, "cli")).errors
    come = histories.repository.commit({"shared.yaml": item("linked")})
    assert await histories.small(come) is None
    assert not (await sync(histories.source, "cli")).errors


async def test_a_plain_change_is_small(histories: Histories) -> None:
    commit = histories.repository.commit({PATHS[0]: item("d0", "1.1.0"), "README.md": "Read me."})
    small = await histories.small(commit)
    assert small is not None
    assert [(change.name, change.to_version) for change in small.changes] == [("d0", "1.1.0")]
    assert small.unchanged == 8
