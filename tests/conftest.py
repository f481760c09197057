"""What every test may ask for: a database of its own, Git repositories, an HTTP server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from engine.store.pool import Connection, Pool, close_pool, connect, new_pool, open_pool
from tests.support.database import fresh_database, test_server, with_template
from tests.support.git import GitRepository, new_repository
from tests.support.http_server import HttpServer, running_http_server

# A slow machine is no failure.
settings.register_profile("pao", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pao")

RUN_FOLDER = pytest.StashKey[Path]()
TOOLS = {"browser": ("chromium", "chromium-headless-shell"), "terraform": ("terraform", "tofu")}
"""For each marker the programs of which one must be on PATH."""


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    folder = worker["run_folder"] if worker else tempfile.mkdtemp(prefix="pao-tests-")
    config.stash[RUN_FOLDER] = Path(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell an xdist worker where this run's server is."""
    node.workerinput["run_folder"] = str(node.config.stash[RUN_FOLDER])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = config.stash[RUN_FOLDER]
        test_server(folder).stop()
        shutil.rmtree(folder)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, by name, what needs a tool that is missing; where CI=true that is a failure."""
    for marker, programs in TOOLS.items():
        if item.get_closest_marker(marker) and not any(map(shutil.which, programs)):
            reason = f"needs {' or '.join(programs)} on PATH"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def _settings_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches a test."""
    for name in list(os.environ):
        if name.startswith(("PAO_", "SLACK_", "PG")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """A folder of this whole run, shared by all workers; the database server may pass into it."""
    return request.config.stash[RUN_FOLDER]


@pytest.fixture(scope="session")
def server_dsn(run_folder: Path) -> str:
    """The run's PostgreSQL, as its owner; it has the template database."""
    return with_template(run_folder)


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    with fresh_database(server_dsn) as address:
        yield address


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """An open pool on the test's database."""
    pool = new_pool(dsn, max_size=8)
    await open_pool(pool)
    yield pool
    await close_pool(pool)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    """One connection in autocommit to the test's database, to arrange and to look."""
    connection = await connect(dsn, "test")
    yield connection
    await connection.close()


@pytest.fixture
def empty_dsn(server_dsn: str) -> Iterator[str]:
    """A database of the test's own with nothing in it."""
    with fresh_database(server_dsn, template="template0") as address:
        yield address


@pytest.fixture
def git_repository(
    tmp_path: Path,
) -> Callable[[Mapping[str, str | bytes | None]], GitRepository]:
    """A factory: `git_repository({"a.yaml": "..."})` gives a repository with that first commit."""
    made: list[GitRepository] = []

    def make(files: Mapping[str, str | bytes | None] | None = None) -> GitRepository:
        made.append(new_repository(tmp_path / f"repository-{len(made)}", files))
        return made[-1]

    return make


@pytest.fixture
async def http_server() -> AsyncIterator[HttpServer]:
    """A real HTTP server with scripted answers."""
    async with running_http_server() as server:
        yield server
