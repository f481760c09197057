"""The catalog's figures: `python -m bench.catalog [--documents N] [--rounds N]`, each beside its floor.

A cold sync holds everything: the fetch into a new mirror, parsing, judging, the merge into an empty
database. The incremental one is told without its fetch, which is measured by itself just before.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
import yaml
from psycopg.types.json import Jsonb

from bench.measure import ROUNDS, Figure, Goal, alternate, show
from bench.world import durable_server, new_database
from engine.catalog import search
from engine.catalog.folder import validate_paths
from engine.catalog.repository import Mirror
from engine.catalog.sync import Source, sync
from engine.results import Actor
from engine.store.pool import close_pool, new_pool, open_pool, transaction

DOCUMENTS = 10_000
VALIDATED = 1_000
CATEGORIES = 50
SEARCHES = 20
"""Searches and lookups that one round's time is the mean of."""

FIELD = """\
    - name: field_{number}
      label: Field {number} of it
      type: string
      required: true
      min_length: 2
      max_length: 40
      help_text: What the team should know, number {number}.
"""
STEP = """\
      - name: step_{number}
        type: HttpPost
        template:
          url: https://example.com/{number}
          body: {{name: "{{{{ field_1 }}}}{{{{ field_{number} }}}}", zone: "{{{{ field_2 }}}}"}}
"""


def document(number: int, version: str = "1.0.0") -> str:
    """An item of about 90 lines: nine fields, four steps, a ticket."""
    head = (
        f"name: item-{number}\ndisplay_name: Item {number}\nversion: {version}\nowner: platform\n"
        f"description: The item of number {number}, for those who need one.\n"
        f"tags: [tag-{number % 7}, tag-{number % 11}]\npresentation:\n  fields:\n"
    )
    fields = "".join(FIELD.format(number=n) for n in range(1, 9))
    steps = "".join(STEP.format(number=n) for n in range(1, 4))
    return (
        f"{head}{fields}fulfillment:\n  automation:\n    steps:\n{steps}  manual:\n"
        "    system: jira\n    template:\n      project: OPS\n      issue_type: Task\n"
        '      summary: "Make {{ field_4 }} {{ field_5 }}"\n      description: |\n'
        "        By hand, please: {{ field_6 }} {{ field_7 }} {{ field_8 }}\n"
    )


class Repository:
    """A repository of many documents in a folder."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.texts = {f"catalog/c{n % CATEGORIES}/item-{n}.yaml": document(n) for n in range(count)}
        self._git("init", "--quiet", "--initial-branch=main")
        for path, text in self.texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self._commit()

    def change_one(self, round_: int) -> tuple[str, str]:
        """Commit another version of one document; return (old, new) commit."""
        old = self.head
        path = f"catalog/c{round_ % CATEGORIES}/item-{round_}.yaml"
        self.texts[path] = document(round_, f"1.0.{time.time_ns()}")
        (self.folder / path).write_text(self.texts[path])
        self._commit()
        return old, self.head

    @property
    def head(self) -> str:
        return self._git("rev-parse", "HEAD").decode().strip()

    def _commit(self) -> None:
        self._git("add", "--all")
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
        self._git(*identity, "commit", "--quiet", "--message", "Bench")

    def _git(self, *arguments: str) -> bytes:
        return git(self.folder, *arguments)


def git(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)
    return done.stdout


def parse_all(texts: Mapping[str, str]) -> float:
    """The floor of reading: the C loader alone, in one process."""
    begun = time.perf_counter()
    for text in texts.values():
        yaml.load(text, Loader=yaml.CSafeLoader)
    return time.perf_counter() - begun


async def longest_pause() -> float:
    """Until it is cancelled: the longest time, in milliseconds, that the event loop did nothing else."""
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
    except asyncio.CancelledError:
        return longest * 1000


class Bench:
    """A server and a repository, and every measurement on them."""

    def __init__(self, server: str, folder: Path, count: int) -> None:
        self.folder = folder
        self.server = server
        self.repository = Repository(folder / "repository", count)
        self.dsn = ""
        self.pauses: list[float] = []
        self._round = 0

    async def cold_sync(self) -> float:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.dsn = await new_database(self.server)
        watch = asyncio.create_task(longest_pause())
        await asyncio.sleep(0)
        begun = time.perf_counter()
        await self._sync()
        took = time.perf_counter() - begun
        watch.cancel()
        self.pauses.append(await watch)
        return took

    async def parse(self) -> float:
        return await asyncio.to_thread(parse_all, self.repository.texts)

    async def change(self) -> float:
        """Milliseconds of the sync of one changed document, the fetch aside."""
        self._round += 1
        self.repository.change_one(self._round)
        mirror = self._source().mirror
        mirror.fetch()
        begun = time.perf_counter()
        mirror.fetch()
        fetched = time.perf_counter()
        await self._sync()
        return (time.perf_counter() - fetched - (fetched - begun)) * 1000

    async def change_by_hand(self) -> float:
        """The floor: diff-tree, one parse, one merge."""
        self._round += 1
        old, new = self.repository.change_one(self._round)
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS by_hand (name TEXT PRIMARY KEY, document JSONB)"
            )
            await connection.commit()
            begun = time.perf_counter()
            folder = self.repository.folder
            changed = git(folder, "diff-tree", "-r", "--name-only", "--no-commit-id", old, new)
            for path in changed.decode().split():
                found = yaml.load(git(folder, "show", f"{new}:{path}"), Loader=yaml.CSafeLoader)
                await connection.execute(
                    "INSERT INTO by_hand VALUES (%s, %s) ON CONFLICT (name)"
                    " DO UPDATE SET document = EXCLUDED.document",
                    [found["name"], Jsonb(found)],
                )
            await connection.commit()
            return (time.perf_counter() - begun) * 1000

    async def searches(self) -> float:
        actor = Actor("U1", "Bench", None, (), is_admin=False)
        wanted = search.Wanted("item number tag")

        pool = new_pool(self.dsn, max_size=1)
        await open_pool(pool)
        begun = time.perf_counter()
        for _ in range(SEARCHES):
            async with transaction(pool) as connection:
                page = await search.entries(connection, actor, wanted)
        took = time.perf_counter() - begun
        await close_pool(pool)
        if not page.items:
            raise RuntimeError("the search found nothing")
        return took / SEARCHES * 1000

    async def lookups(self) -> float:
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            begun = time.perf_counter()
            for number in range(SEARCHES):
                await connection.execute(
                    "SELECT * FROM catalog_items WHERE name = %s", [f"item-{number}"]
                )
            return (time.perf_counter() - begun) / SEARCHES * 1000

    async def _sync(self) -> None:
        report = await sync(self._source(), "cli")
        if report.status != "completed" or report.errors:
            raise RuntimeError(f"{report.status}: {report.error_message} {report.errors[:3]}")

    def _source(self) -> Source:
        return Source(
            self.dsn, Mirror(self.folder / "data", self.repository.folder.as_uri(), "main")
        )


async def measured(bench: Bench, rounds: int) -> list[Figure]:
    """Every figure; the last cold sync is what the rest works on."""
    count = len(bench.repository.texts)
    few = dict(list(bench.repository.texts.items())[:VALIDATED])
    folder = bench.folder / "validated"
    for path, text in few.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    async def validate() -> float:
        begun = time.perf_counter()
        validate_paths([folder])
        return time.perf_counter() - begun

    async def parse_few() -> float:
        return parse_all(few)

    validated = await alternate(validate, parse_few, rounds)
    cold = await alternate(bench.cold_sync, bench.parse, rounds)
    one = await alternate(bench.change, bench.change_by_hand, rounds)
    found = await alternate(bench.searches, bench.lookups, rounds)
    parsed, floor = "CSafeLoader parse", "diff-tree, one parse, one merge"
    return [
        Figure(f"cold sync of {count:,}", "s", Goal(0.8, at_most=True), *cold, parsed),
        Figure("  the loop's longest pause in it", "ms", Goal(100, at_most=True), bench.pauses[1:]),
        Figure(f"sync of 1 changed of {count:,}", "ms", Goal(3, at_most=True), *one, floor),
        Figure("the same, by itself", "ms", Goal(100, at_most=True), one[0]),
        Figure(f"validate {len(few):,}", "s", Goal(3, at_most=True), *validated, parsed),
        Figure(f"search in {count:,}, first page", "ms", Goal(20, at_most=True), found[0]),
        Figure("  a lookup by name, beside it", "ms", Goal(20, at_most=True), found[1]),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    with durable_server() as server, tempfile.TemporaryDirectory(prefix="pao-bench-") as folder:
        place = Path(folder)
        (place / "repository").mkdir()
        bench = Bench(server, place, chosen.documents)
        show(asyncio.run(measured(bench, chosen.rounds)))


if __name__ == "__main__":
    main()
