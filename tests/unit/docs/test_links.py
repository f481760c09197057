"""Every link in every page leads somewhere: to a file of the tree, and to a heading where it names one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[3]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def pages() -> list[Path]:
    """The Markdown of the tree."""
    folders = ("docs", "examples")
    found = [*ROOT.glob("*.md"), *(p for f in folders for p in (ROOT / f).rglob("*.md"))]
    return sorted(found)


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def links(page: Path) -> Iterator[str]:
    for target in LINK.findall(INLINE_CODE.sub("", prose(page))):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {anchor(heading) for heading in HEADING.findall(prose(page))}


def anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, heading = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if heading:
            assert heading in anchors(target), link


def test_every_page_of_docs_can_be_found_from_the_readme() -> None:
    found, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        found.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        waiting += [t for t in targets if t.suffix == ".md" and t.is_file() and t not in found]
    assert [p for p in (ROOT / "docs").rglob("*.md") if p not in found] == []


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/images").glob("*.png"))
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size > 200_000] == []


def test_architecture_names_what_is_there_and_leaves_no_folder_out() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = {path.rstrip("/") for path in re.findall(r"`([a-z_]+/[\w/.]*)`", text)}
    assert [path for path in named if not (ROOT / path).exists()] == []
    packages = {
        str(file.parent.relative_to(ROOT))
        for top in ("bot", "handlers", "engine", "sql")
        for file in [*(ROOT / top).glob("*.py"), *(ROOT / top).glob("*/*.py")]
    }
    assert packages - named == set()
