"""The catalog that people copy from: it is valid, it syncs, and its modules are real."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.catalog.folder import validate_paths
from engine.catalog.repository import Mirror
from engine.catalog.search import Wanted, entries
from engine.catalog.sync import Source, sync
from engine.results import Actor
from engine.store.pool import Pool, transaction
from tests.support.git import new_repository

EXAMPLES = Path(__file__).parents[3] / "examples" / "catalog"
DOCUMENTS = sorted(path.stem for path in EXAMPLES.glob("catalog/**/*.yaml"))
MODULES = sorted(path.name for path in (EXAMPLES / "modules").iterdir())


def test_every_document_is_valid_but_for_the_address_of_the_demo_s_cloud() -> None:
    report = validate_paths([EXAMPLES])
    assert [finding.text for finding in report.errors] == []
    # By design: the demo's cloud is on this machine, by plain http.
    others = [f for f in report.warnings if "127.0.0.1" not in f.message + f.found]
    assert [finding.text for finding in others] == []
    assert sorted(d.document.name for d in report.documents) == DOCUMENTS


async def test_the_examples_sync_into_an_empty_database(
    pool: Pool, dsn: str, tmp_path: Path
) -> None:
    repository = new_repository(tmp_path / "catalog")
    shutil.copytree(EXAMPLES, repository.path, dirs_exist_ok=True)
    commit = repository.commit_all("Examples")
    report = await sync(Source(dsn, Mirror(tmp_path / "data", repository.url, "main")), "cli")
    assert (report.status, report.commit, report.errors) == ("completed", commit, [])
    assert sum(count["added"] for count in report.counts.values()) == len(DOCUMENTS)
    async with transaction(pool) as connection:
        page = await entries(connection, Actor("U1", "Ada"), Wanted())
    assert sorted(entry.name for entry in page.items) == DOCUMENTS
    assert all(entry.category and entry.owner and entry.icon for entry in page.items)


@pytest.mark.terraform
@pytest.mark.parametrize("module", MODULES)
async def test_a_module_is_valid_and_formatted(module: str, tmp_path: Path) -> None:
    folder = tmp_path / module
    shutil.copytree(EXAMPLES / "modules" / module, folder)
    for arguments in (["fmt", "-check", "-diff"], ["init", "-input=false"], ["validate"]):
        result = await asyncio.to_thread(terraform, folder, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("terraform") or "tofu"
    environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1", "HOME": str(folder)}
    return subprocess.run(
        [program, *arguments, "-no-color"],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
