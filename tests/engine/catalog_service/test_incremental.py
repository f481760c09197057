"""An incremental sync finds what judging everything anew would find: over random histories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog.checks import Known
from engine.catalog.concerns import Facts, concerned
from engine.catalog.digest import digest
from engine.catalog.documents import slugify
from engine.catalog.findings import Finding
from engine.catalog.outcome import CONTENT_CHANGED, Before, Digest
from engine.catalog.repository import Mirror
from engine.catalog.survey import survey
from engine.catalog.trees import TreeEntry
from engine.store.catalog_rows import FILES, INCOMING, DocumentRow, FileRow

Files = Mapping[str, str]
NAMES = ("a", "b", "c", "d")


@dataclass
class Commits:
    """Commits in memory, with the part of a mirror's interface that reads them."""

    files: dict[str, Files] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def documents(self, commit: str) -> dict[str, TreeEntry]:
        return {
            path: TreeEntry(hashlib.sha1(text.encode()).hexdigest(), len(text), "100644")
            for path, text in self.files[commit].items()
        }

    def read_blobs(self, entries: Mapping[str, TreeEntry]) -> Iterator[tuple[str, bytes]]:
        newest = list(self.files.values())[-1]
        for path in entries:
            self.read.append(path)
            yield path, newest[path].encode()


@dataclass
class Kept:
    """What the database would hold."""

    files: dict[str, FileRow] = field(default_factory=dict)
    documents: dict[tuple[str, str], DocumentRow] = field(default_factory=dict)

    def before(self, *, everything: bool) -> Before:
        return Before(self.files, list(self.documents.values()), everything)

    def apply(self, outcome: Digest) -> None:
        for path in outcome.replaced:
            self.files.pop(path, None)
        for row in copied(outcome.files, FILES):
            arrays = {key: array(row[key]) for key in ("defines", "mentions", "modules")}
            self.files[row["path"]] = FileRow(
                path=row["path"],
                blob_hash=row["blob_hash"],
                findings=json.loads(row["findings"]),
                is_broken=row["is_broken"] == "t",
                **arrays,
            )
        for path, file in self.files.items():
            self.files[path] = file._replace(is_broken=path in (outcome.broken or ()))
        for key in outcome.gone:
            self.documents[key] = self.documents[key]._replace(is_active=False)
        for row in copied(b"".join(outcome.documents.values()), INCOMING):
            new = DocumentRow(
                kind=cast("Any", row["kind"]),
                name=row["name"],
                slug=slugify(row["name"]),
                version=row["version"],
                source_file_path=row["source_file_path"],
                source_file_hash=row["source_file_hash"],
                is_active=True,
            )
            self.documents[new.kind, new.name] = new
        slugs = [(row.kind, row.slug) for row in self.documents.values() if row.is_active]
        assert len(slugs) == len(set(slugs)), "the database would refuse this"

    def active(self) -> dict[tuple[str, str], str | None]:
        rows = self.documents.items()
        return {key: row.source_file_hash for key, row in rows if row.is_active}


def copied(text: bytes, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read COPY text back."""
    return [
        dict(zip(columns, map(unescaped, line.split("\t")), strict=True))
        for line in text.decode().splitlines()
    ]


def unescaped(column: str) -> str:
    if column == "\\N":
        return ""
    return column.encode("latin-1", "backslashreplace").decode("unicode_escape")


def array(text: str) -> list[str]:
    inner = text[1:-1]
    return [part.strip('"') for part in inner.split(",")] if inner else []


manual = "manual: {system: jira, template: {project: P, issue_type: T, summary: S}}"
versions = st.sampled_from(["1.0.0", "1.1.0", "2.0.0", "broken"])
names = st.sampled_from(NAMES)
references = st.lists(names, max_size=2, unique=True)


@st.composite
def items(draw: st.DrawFn) -> str:
    dependencies = ", ".join(
        f"{{catalog_item: {name}, required: false}}" for name in draw(references)
    )
    replaced = f"replaced_by: {draw(names)}\n" if draw(st.integers(0, 5)) == 0 else ""
    module = draw(st.sampled_from([None, None, "modules/x", "modules/y"]))
    step = f"{{name: s, type: TerraformFile, template: {{module_source: {module}}}}}"
    automation = f", automation: {{steps: [{step}]}}" if module else ""
    lifecycle = draw(st.sampled_from(["active", "active", "deprecated", "retired"]))
    return (
        f"name: {draw(names)}\nversion: {draw(versions)}\nowner: o\ndescription: d\n"
        f"lifecycle: {lifecycle}\n{replaced}dependencies: [{dependencies}]\n"
        f"presentation: {{fields: []}}\nfulfillment: {{{manual}{automation}}}\n"
    )


@st.composite
def bundles(draw: st.DrawFn) -> str:
    needed = ", ".join(f"{{catalog_item: {n}, version: '1.x'}}" for n in draw(references))
    return (
        f"name: {draw(names)}\nversion: 1.0.0\nowner: o\ndescription: d\n"
        f"bundle: {{required_items: [{needed}]}}\npresentation: {{bundle_fields: []}}\n"
    )


@st.composite
def updates(draw: st.DrawFn) -> str:
    return (
        f"name: {draw(names)}\nversion: 1.0.0\nowner: o\ndescription: d\n"
        f"targets: {{catalog_items: [{{name: {draw(names)}, version_range: '*'}}]}}\n"
        f"presentation: {{fields: []}}\nfulfillment: {{{manual}}}\n"
    )


contents = st.one_of(
    items(), items(), bundles(), updates(), st.sampled_from(["name: [", "[]", "name: a\n\t"])
)
paths = st.sampled_from([f"catalog/c/{n}.yaml" for n in range(5)])
edits = st.dictionaries(
    st.one_of(paths, paths, st.sampled_from(["modules/x/main.tf", "modules/y/main.tf"])),
    st.one_of(contents, contents, st.none()),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(edits, min_size=2, max_size=6))
def test_incremental_and_whole_syncs_agree(history: list[dict[str, str | None]]) -> None:
    commits, incremental, whole = Commits(), Kept(), Kept()
    files: dict[str, str] = {}
    for number, edit in enumerate(history):
        for path, content in edit.items():
            if content is None:
                files.pop(path, None)
            else:
                files[path] = content
        commits.files[str(number)] = dict(files)
        found = step(commits, incremental, str(number), everything=number == 0)
        assert found == step(commits, whole, str(number), everything=True)
        assert incremental.active() == whole.active()
        assert broken(incremental) == broken(whole)


def step(commits: Commits, kept: Kept, commit: str, *, everything: bool) -> list[Finding]:
    mirror = cast("Mirror", commits)
    found = survey(mirror, commit)
    outcome = digest(mirror, found, kept.before(everything=everything), Known())
    kept.apply(outcome)
    return [finding for finding in outcome.findings if finding.code != CONTENT_CHANGED]


def broken(kept: Kept) -> set[str]:
    return {path for path, row in kept.files.items() if row.is_broken}


def test_files_that_a_change_does_not_concern_are_not_read() -> None:
    plain = (
        "name: NAME\nversion: 1.0.0\nowner: o\ndescription: d\npresentation: {fields: []}\n"
        f"fulfillment: {{{manual}}}\n"
    )
    files = {f"catalog/c/{n}.yaml": plain.replace("NAME", f"item-{n}") for n in range(50)}
    commits, kept = Commits({"0": files}), Kept()
    step(commits, kept, "0", everything=True)
    assert len(commits.read) == 50
    commits.read.clear()
    commits.files["1"] = files | {"catalog/c/7.yaml": files["catalog/c/7.yaml"] + "tags: [new]\n"}
    step(commits, kept, "1", everything=False)
    assert set(commits.read) == {"catalog/c/7.yaml"}


def facts(defines: str = "", mentions: str = "", modules: str = "") -> Facts:
    return Facts(*(frozenset(words.split()) for words in (defines, mentions, modules)))


def test_who_refers_to_what_changed_is_concerned_and_who_refers_to_those() -> None:
    earlier = {
        "one": facts("one"),
        "two": facts("two", "one"),
        "three": facts("three", "two other"),
        "other": facts("other"),
        "aside": facts("aside", "other"),
    }
    found = concerned(earlier, {"one": facts("one")}, [], [], lambda _: True)
    assert found.judged == {"one", "two", "three"}
    assert found.context == {"other"}


def test_a_document_that_goes_concerns_who_named_it() -> None:
    earlier = {"one": facts("one"), "two": facts("two", "one"), "aside": facts("aside")}
    assert concerned(earlier, {}, ["one"], [], lambda _: True).judged == {"two"}


def test_twins_suspects_and_lost_modules_are_concerned() -> None:
    earlier = {
        "one": facts("one"),
        "twin": facts("one"),
        "ill": facts("ill"),
        "built": facts("built", modules="modules/m"),
        "aside": facts("aside", modules="modules/n"),
    }
    found = concerned(earlier, {"one": facts("one")}, [], ["ill"], "modules/n".__eq__)
    assert found.judged == {"one", "twin", "ill", "built"}
