"""The quick reading of a plain file gives what the composer gives, and leaves all else to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.composer import DEEPEST, MOST_NODES, Composer
from engine.catalog.plain import read_plain
from engine.catalog.reader import read
from engine.catalog.source import Source

CORPUS = sorted((Path(__file__).parents[2] / "corpus").rglob("*.y*ml"))

words = st.sampled_from(
    ["a", "name", "1", "1.50", "true", "no", "~", "2026-01-01", "0x1F", "{{ x }}"]
)
texts = words | st.text(alphabet="ab:-# {}'\"\\\n\té", max_size=12)
trees = st.recursive(
    texts | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=25,
)


def composed(text: str) -> tuple[list[Source], bool]:
    """Read by the composer: its documents, and whether nothing is wrong with them."""
    composer = Composer("x.yaml", text, 0)
    return list(composer.documents()), not composer.findings and not composer.gave_up


def assert_agreement(text: str) -> None:
    data = read_plain(text)
    documents, is_good = composed(text)
    if data is not None:
        assert is_good
        assert [document.data for document in documents] == [data]
        assert repr(documents[0].data) == repr(data), "true is not 1, nor 1.50 1.5"


@given(st.dictionaries(texts, trees, max_size=5), st.booleans())
def test_what_it_reads_the_composer_reads_alike(data: object, flow: bool) -> None:
    assert_agreement(yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True))


@given(st.text(alphabet="ab: -\n[]{},'\"&*!<|>#%\\1\t", max_size=60))
def test_they_agree_on_any_text(text: str) -> None:
    assert_agreement(text)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_they_agree_on_the_corpus(path: Path) -> None:
    text = path.read_bytes().decode("utf-8-sig", "replace")
    assert_agreement(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x",
        "<<: {a: 1}",
        "a: 1\na: 2",
        "a: !!str 1",
        "1: a",
        "- a",
        "a",
        "",
        "a: 1\n---\nb: 2",
        "a: .inf",
        'a: "\\x01"',
        "a: [",
        "a: " + "[" * DEEPEST + "]" * DEEPEST,
        "a: [" + "x," * MOST_NODES + "]",
    ],
    ids=lambda text: text[:12],
)
def test_what_is_unusual_is_left_to_the_composer(text: str) -> None:
    assert read_plain(text) is None


def test_places_are_found_when_they_are_asked_for() -> None:
    (source,) = read(
        "x.yaml", b"\xef\xbb\xbfname: x\npresentation:\n  fields:\n  - {name: y}\n"
    ).sources
    assert source.place(("presentation", "fields", 0, "name")) == (4, 12)
    assert source.place(("name",), at_key=True) == (1, 1)
