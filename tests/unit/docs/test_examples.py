"""What the pages show can be copied: documents are in order, command lines exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli import pao
from bot.cli.reference import reference
from bot.settings import load, unknown_variables
from engine.catalog.checks import Known
from engine.catalog.layout import SETTINGS_FILE, read_layout
from engine.catalog.validation import validate_set

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "UPGRADING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = ROOT / "examples/catalog"


def blocks(page: Path, language: str) -> Iterator[tuple[str, str]]:
    for kind, name, text in BLOCK.findall(page.read_text("utf-8")):
        if kind == language:
            yield name, text


def command_lines() -> list[tuple[str, str]]:
    """Every `pao ...` in a console block, with the page that shows it."""
    found = []
    for page in PAGES:
        for _, text in blocks(page, "console"):
            for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
                bare = line.partition("  #")[0].strip()
                found += [(page.name, c) for c in re.findall(r"(?:^|\()((?:\S*/)?pao [^)]*)", bare)]
    return found


@pytest.mark.parametrize(("page", "line"), command_lines(), ids=lambda text: text[:60])
def test_a_command_line_of_the_pages_is_one(page: str, line: str) -> None:
    del page
    arguments = shlex.split(line.replace(".venv/bin/", ""))[1:]
    group: click.Command = pao
    context = click.Context(pao, info_name="pao")
    while isinstance(group, click.Group):
        name, below, arguments = group.resolve_command(context, arguments)
        assert below is not None
        group, context = below, click.Context(below, parent=context, info_name=name)
    parsed = group.make_context(str(context.info_name), arguments)
    assert parsed.params


def test_command_lines_are_found() -> None:
    pages = {page for page, _ in command_lines()}
    assert {"README.md", "operating.md"} <= pages


def test_the_first_catalog_entry_is_in_order_beside_the_examples() -> None:
    [(path, text)] = blocks(ROOT / "README.md", "yaml")
    files = {
        str(file.relative_to(EXAMPLES)): file.read_bytes() for file in EXAMPLES.rglob("*.y*ml")
    }
    assert path not in files
    folders = {str(p.relative_to(EXAMPLES)) for p in EXAMPLES.rglob("*") if p.is_dir()}
    layout = read_layout(files[SETTINGS_FILE], folders.__contains__)
    report = validate_set(
        files | {path: text.encode()}, layout, Known(has_module=folders.__contains__)
    )
    found = [finding for finding in report.findings if finding.file == path]
    assert {finding.code for finding in found} <= {"private-address", "plain-http"}, found
    assert "topic" in {document.document.name for document in report.documents}


def test_settings_of_the_pages_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    [(_, text)] = blocks(ROOT / "docs/operating.md", "sh")
    given = dict(line.split("#")[0].strip().split("=", 1) for line in text.splitlines())
    assert unknown_variables(given) == []
    for name, value in given.items():
        if name.endswith("_FILE"):
            file = tmp_path / name
            file.write_text("a")
            monkeypatch.setenv(name, str(file))
        else:
            monkeypatch.setenv(name, value)
    assert load().admins == ("U012AB3CD", "U045EF6GH")


def test_every_variable_that_the_pages_name_is_a_setting() -> None:
    for page in PAGES:
        named = set(re.findall(r"\bPAO_[A-Z_]+[A-Z]\b", page.read_text("utf-8")))
        assert unknown_variables(dict.fromkeys(named, "")) == [], page.name


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    page = (ROOT / "docs/command-line.md").read_text("utf-8")
    assert page == reference(), "run: python -m bot.cli.reference > docs/command-line.md"
