"""The corpus: good documents pass without a word; broken ones say each fault at its place.

A broken file says by itself what is expected: `# expect: CODE:COLUMN ...` stands in the line of
the finding, one word for each, and nothing else may be found.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.catalog.layout import Layout
from engine.catalog.validation import Report, validate_set

CORPUS = Path(__file__).parents[2] / "corpus"
GOOD = sorted((CORPUS / "good").glob("*.yaml"))
BROKEN = sorted((CORPUS / "broken").glob("*.yaml"))


def validated(path: Path) -> Report:
    return validate_set({f"catalog/any/{path.name}": path.read_bytes()}, Layout())


def expected(text: str) -> set[tuple[int, int, str]]:
    found = set()
    for number, line in enumerate(text.splitlines(), start=1):
        for code, column in re.findall(r"([a-z-]+):(\d+)", line.partition("# expect:")[2]):
            found.add((number, int(column), code))
    return found


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_documents_pass_without_a_word(path: Path) -> None:
    report = validated(path)
    assert report.findings == ()
    assert len(report.documents) == len(re.findall(r"^name:", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_fault_is_found_once_at_its_place(path: Path) -> None:
    found = {(f.line, f.column, f.code) for f in validated(path).errors}
    assert found == expected(path.read_text())


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_fault_names_what_was_found(path: Path) -> None:
    for finding in validated(path).errors:
        assert finding.path
        assert finding.message
        assert finding.severity == "error"
