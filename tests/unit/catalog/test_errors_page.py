"""docs/catalog-errors.md is true: each wrong example gives its code, each right one gives none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.catalog.checks import Known
from engine.catalog.findings import Finding
from engine.catalog.layout import SETTINGS_FILE, Layout, read_layout
from engine.catalog.validation import validate_set

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "catalog-errors.md").read_text()
TYPES = b"port: {base: integer, max_value: 9999}\n"
NOT_SHOWN = {
    *("empty-file", "file-too-large", "not-utf-8", "control-character", "too-deep"),
    *("too-many-nodes", "too-many-documents", "link-outside", "not-a-file", "unreadable-file"),
    *("wrong-value", "content-changed"),
}
FOLDERS = {"catalog", "modules", "modules/postgres"}


class Example(NamedTuple):
    code: str
    verdict: str
    file: str
    text: str


def blocks(text: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"```yaml ([^\n]+)\n(.*?)```", text, re.DOTALL):
        yield match[1], match[2]


def examples() -> Iterator[Example]:
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        code = section.split("\n", 1)[0].strip()
        for info, text in blocks(section):
            verdict, _, file = info.partition(" ")
            yield Example(code, verdict, file, text)


def completed(text: str, base: str) -> str:
    """The example with the base document's other keys, each of its documents by itself."""
    return "---\n".join(complete(part, base) for part in text.split("---\n"))


def complete(text: str, base: str) -> str:
    if text.startswith("- "):
        return text
    own = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    if "bundle" in own:
        own |= {"presentation", "fulfillment"}
    parts = re.split(r"^(?=\w+:)", base, flags=re.MULTILINE)
    rest = "".join(part for part in parts if part and part.split(":")[0] not in own)
    return rest + text


def findings(example: Example) -> list[Finding]:
    base = next(text for info, text in blocks(PAGE) if info == "base")
    known = Known(has_module=FOLDERS.__contains__)
    if example.file == SETTINGS_FILE:
        return list(read_layout(example.text.encode(), FOLDERS.__contains__).findings)
    content = completed(example.text, base).encode()
    files = {"types.yaml": TYPES, "catalog/databases/example.yaml": content}
    return list(validate_set(files, replace(Layout()), known).findings)


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.code}-{e.verdict}")
def test_examples_keep_their_promise(example: Example) -> None:
    found = findings(example)
    if example.verdict == "wrong":
        assert [f.code for f in found if f.is_error or f.code == example.code] == [example.code]
    else:
        assert [f for f in found if f.is_error or f.code == example.code] == []


def test_every_code_of_the_validator_is_explained() -> None:
    explained = set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE))
    assert codes_in_the_source() == explained


def test_every_explained_code_has_a_wrong_and_a_right_example() -> None:
    shown = {(example.code, example.verdict) for example in EXAMPLES}
    explained = set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE)) - NOT_SHOWN
    assert shown == {(code, verdict) for code in explained for verdict in ("wrong", "right")}


def codes_in_the_source() -> set[str]:
    """Words that stand where a code stands: first argument of what makes a finding."""
    found = {"content-changed"}  # the sync's
    makers = r"(?:find|_find|error|warn|unknown|wrong|Finding|BadNumber|_Problem)\(\s*"
    for file in (ROOT / "engine" / "catalog").rglob("*.py"):
        text = file.read_text()
        found |= set(re.findall(makers + r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', text))
    return found | {"too-short", "too-long", "out-of-range", "wrong-value"}
