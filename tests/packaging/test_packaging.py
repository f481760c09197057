from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PINNED = re.compile(r"^([a-z0-9-]+(?:\[[a-z0-9,-]+\])?)==(\S+)", re.MULTILINE)


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", r)[0].lower() for r in requirements}


def pinned(lock: str) -> dict[str, str]:
    found = PINNED.findall((ROOT / lock).read_text())
    return {name.split("[")[0]: version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for block in re.split(r"\n(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert not re.search(r"https?://|file:|--index|--find-links|--extra-index|^/|\s/\w", text)


def test_the_lock_covers_the_program_and_its_build_back_end() -> None:
    declared = project()
    wanted = names(declared["project"]["dependencies"])  # type: ignore[index]
    wanted |= names(declared["build-system"]["requires"])  # type: ignore[index]
    assert wanted <= pinned("requirements.lock").keys()


def test_the_locks_agree_with_each_other_and_cover_the_tools() -> None:
    run, dev = (pinned(lock) for lock in LOCKS)
    assert names(project()["dependency-groups"]["dev"]) <= dev.keys()  # type: ignore[index]
    assert {n: v for n, v in dev.items() if n in run} == {n: v for n, v in run.items() if n in dev}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_all_packages_and_the_sql(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for package in ("bot", "handlers", "engine", "sql"):
        assert f"{package}/__init__.py" in packed
    for file in (ROOT / "sql").rglob("*.sql"):
        assert file.relative_to(ROOT).as_posix() in packed
    assert not [name for name in packed if name.startswith("tests/")]


def test_the_installed_wheel_runs_where_other_packages_have_our_names(
    wheel: Path, tmp_path: Path
) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in ("engine", "bot", "sql"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    script = "from engine.store import migrate; print(len(migrate.migrations()))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) == len(list((ROOT / "sql/migrations").glob("*.sql")))


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make on PATH")
def test_an_old_python_is_told_in_a_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", *LOCKS):
        (tmp_path / name).touch()
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    result = subprocess.run(
        ["make", "install", f"PYTHON={old}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stderr
    assert "Python 3.9.2" in result.stderr


def test_ci_runs_the_tests_last() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().splitlines()[-1] == "exec make test"
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_image_takes_only_what_is_there() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--" not in line]
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source
    assert "USER 10001" in lines
    assert any("PYTHONSAFEPATH=1" in line for line in lines)


def test_compose_sets_only_settings_that_exist() -> None:
    from bot.settings import unknown_variables

    compose = yaml.safe_load((ROOT / "compose.yml").read_text())
    for service in compose["services"].values():
        assert unknown_variables(service.get("environment", {})) == []


def test_the_wheel_holds_the_manifest_and_the_example_catalog(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    assert archive.read("bot/manifest.yml") == (ROOT / "manifest.yml").read_bytes()
    examples = ROOT / "examples/catalog"
    wanted = {f"bot/examples/catalog/{p.relative_to(examples)}" for p in examples.rglob("*.yaml")}
    assert wanted
    assert wanted <= set(archive.namelist())


def test_what_the_code_imports_is_declared() -> None:
    declared = {n.replace("_", "-") for n in names(project()["project"]["dependencies"])}  # type: ignore[index]
    homes = packages_distributions()
    for package in ("bot", "handlers", "engine", "sql"):
        for file in (ROOT / package).rglob("*.py"):
            for module in imported(file):
                known = {home.lower().replace("_", "-") for home in homes.get(module, ())}
                assert not known or known & declared, f"{file} imports {module}"


def imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, without ours and those of Python."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"bot", "handlers", "engine", "sql"}
