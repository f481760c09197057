"""The example plug-ins, installed as a package of their own, are known and run like what is built in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from engine import Engine, Submission
from engine.catalog.plugins import installed
from engine.outbound import Outbound
from engine.steps.base import Completed
from engine.store.pool import Connection
from tests.support.engines import ALICE, add_item, config
from tests.support.eventually import eventually
from tests.support.pao import command
from tests.support.steps import Context, services

PLUGINS = Path(__file__).parents[2] / "examples/plugins"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed into, from its own build."""
    folder = tmp_path_factory.mktemp("site")
    flags = ("--no-deps", "--no-build-isolation", "--offline", "--no-index", "--quiet")
    target = ("--target", str(folder), "--python", sys.executable)
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", *flags, *target, str(PLUGINS)],
        check=True,
        env={**os.environ, "UV_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))},
    )
    return folder


@pytest.fixture
def plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(site)
    yield
    for name in [one for one in sys.modules if one.startswith("pao_example_plugins")]:
        del sys.modules[name]


def validate(pythonpath: str) -> subprocess.CompletedProcess[str]:
    arguments = ("catalog", "validate", str(PLUGINS / "catalog"), "--format", "json")
    environment = {**os.environ, "PYTHONPATH": pythonpath}
    return subprocess.run(
        command(*arguments), env=environment, capture_output=True, text=True, check=False
    )


def test_the_validator_knows_the_words_once_they_are_installed(site: Path) -> None:
    without, with_them = validate(""), validate(str(site))
    assert without.returncode == 1
    assert "Pause" in without.stdout
    assert (with_them.returncode, with_them.stderr) == (0, ""), with_them.stdout


@pytest.mark.usefixtures("plugins")
def test_the_vocabulary_tells_what_a_step_of_theirs_can_answer() -> None:
    known = installed()
    assert known.plugin_steps["Pause"].verifications == {"output_in_range"}
    assert known.plugin_steps["Pause"].outputs == {"waited"}
    assert "output_in_range" in known.plugin_verifications
    assert "folder" in known.plugin_systems


WAIT = {
    "name": "wait",
    "type": "Pause",
    "template": {"duration": "{{ size }}"},
    "verification": {"type": "output_in_range", "output": "waited", "min": 1, "max": 3600},
}
FULFILLMENT = {
    "manual": {"system": "folder", "template": {"summary": "Wait {{ size }}, please"}},
    "automation": {"retry_policy": {"max_attempts": 1}, "steps": [WAIT]},
}


@pytest.mark.usefixtures("plugins")
async def test_a_step_of_theirs_is_run_judged_and_replaced_by_a_ticket_of_theirs(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    await add_item(connection, fulfillment=FULFILLMENT)
    async with Engine(config(dsn, tmp_path)) as engine:
        done = await engine.submit(ALICE, Submission({"size": "1s"}, item="database"))
        assert (await engine.drive(done.request_id, timeout=60)).status == "completed"
        wrong = await engine.submit(ALICE, Submission({"size": "0s"}, item="database"))
        failed = await engine.drive(wrong.request_id, timeout=60)
        assert failed.steps[0].attempts[-1].error_type == "verification_failed"
        (file,) = (tmp_path / "tickets").glob("*.json")
        written = json.loads(file.read_text())
        assert written["summary"] == "Wait 0s, please"
        assert "verification_failed" in written["description"]
        file.write_text(json.dumps(written | {"status": "resolved"}))
        dispatcher = engine.dispatcher()
        await dispatcher.start()

        async def is_resolved() -> bool:
            await connection.execute(
                b"UPDATE manual_tickets SET next_poll_at = clock_timestamp()"
                b" WHERE next_poll_at IS NOT NULL"
            )
            view = await engine.request(ALICE, wrong.request_id)
            return view.steps[0].tickets[0].status == "resolved"

        await eventually(is_resolved)
        await dispatcher.stop()


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("value", "verified"),
    [(Decimal("1.5"), True), (2, True), (3, False), (True, False), ("2", False)],
)
async def test_a_number_is_judged_by_its_bounds(
    tmp_path: Path, value: object, verified: bool
) -> None:
    from pao_example_plugins.in_range import OutputInRange

    check = OutputInRange(services(Outbound(), tmp_path))
    model = check.model.model_validate({"type": check.name, "output": "n", "min": 1, "max": 2})
    verdict = await check.check(Context({}), model, Completed(outputs={"n": value}))
    assert verdict.verified is verified
