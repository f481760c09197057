"""`pao catalog validate`: which repository, which findings, which formats, which exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import pao
from engine.catalog.folder import validate_paths

ITEM = """\
name: {name}
version: 1.0.0
description: An item.
owner: platform
presentation: {{fields: []}}
fulfillment:
  manual: {{system: email, template: {{to: a@example.com, subject: An item}}}}
"""
BUNDLE = """\
name: stack
version: 1.0.0
description: A bundle.
owner: platform
bundle: {{required_items: [{{catalog_item: {item}}}]}}
presentation: {{bundle_fields: []}}
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(path: str, text: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


def codes(*paths: Path) -> list[tuple[str, str]]:
    return [(finding.file, finding.code) for finding in validate_paths(paths).findings]


def pao_validate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        pao, ["catalog", "validate", *map(str, arguments)], standalone_mode=False
    )


def test_references_are_looked_up_in_the_whole_repository(write: Write) -> None:
    write("catalog/databases/store.yaml", ITEM.format(name="store"))
    stack = write("catalog/bundles/stack.yaml", BUNDLE.format(item="store"))
    assert codes(stack) == []


def test_findings_are_kept_for_the_given_paths_alone(write: Write, tmp_path: Path) -> None:
    good = write("catalog/databases/store.yaml", ITEM.format(name="store"))
    write("catalog/bundles/stack.yaml", BUNDLE.format(item="stoer"))
    assert codes(good) == []
    assert codes(tmp_path) == [("catalog/bundles/stack.yaml", "unknown-item")]
    assert codes(tmp_path / "catalog" / "bundles", good) == codes(tmp_path)


def test_a_broken_document_whose_name_can_be_read_still_exists(write: Write) -> None:
    write("catalog/databases/store.yaml", "name: store\nversion: [\n")
    assert codes(write("catalog/x/stack.yaml", BUNDLE.format(item="store"))) == []


def test_a_folder_outside_any_repository_stands_alone(write: Write, tmp_path: Path) -> None:
    write("anywhere/store.yml", ITEM.format(name="store"))
    write("modules/notes.yaml", "not: [a document")
    assert validate_paths([tmp_path]).findings == ()
    assert len(validate_paths([tmp_path]).documents) == 1


def test_the_settings_file_says_where_documents_are(write: Write, tmp_path: Path) -> None:
    write(
        "pao-catalog.yml", "roots: [offers]\ncategories: {databases: {owner: dba, channel: C1}}\n"
    )
    write("offers/databases/store.yaml", ITEM.format(name="store").replace("owner: platform\n", ""))
    write("catalog/old.yaml", "not a document\n")
    (document,) = validate_paths([tmp_path]).documents
    assert (document.category, document.owner, document.channel) == ("databases", "dba", "C1")


def test_a_file_outside_the_roots_is_checked_when_it_is_named(write: Write, tmp_path: Path) -> None:
    write("catalog/x/store.yaml", ITEM.format(name="store"))
    draft = write("drafts/new.yaml", "name: new\n")
    assert ("drafts/new.yaml", "missing-key") in codes(draft)
    assert codes(tmp_path) == []


def test_own_types_widen_the_vocabulary(write: Write) -> None:
    write(
        "types.yaml",
        'cost_center: {base: string, regexp: "CC-[0-9]{4}"}\ncode: {base: cost_center}\n',
    )
    text = ITEM.format(name="store").replace(
        "fields: []", "fields: [{name: cc, type: code, default: CC-12}]"
    )
    file = write("catalog/x/store.yaml", text)
    assert {code for _, code in codes(file)} == {"invalid-default", "unused-field"}


@pytest.mark.parametrize(
    ("types", "code"),
    [
        ("string: {base: integer}\n", "duplicate-name"),
        ("a: {base: b}\nb: {base: a}\n", "cycle"),
        ("a: {base: strng}\n", "unknown-type"),
        ("a: {regexp: x}\n", "missing-key"),
        ("a: {base: integer, regexp: x}\n", "unknown-key"),
        ("a: {base: integer, max_value: 5}\nb: {base: a, max_value: 9}\n", "widened-type"),
    ],
)
def test_own_types_are_checked_themselves(write: Write, types: str, code: str) -> None:
    write("catalog/x/store.yaml", ITEM.format(name="store"))
    assert {found for _, found in codes(write("types.yaml", types))} == {code}


def test_a_link_that_leaves_the_repository_is_refused(write: Write, tmp_path: Path) -> None:
    outside = write("outside.yaml", ITEM.format(name="secret"))
    write("repository/catalog/x/store.yaml", ITEM.format(name="store"))
    (tmp_path / "repository/catalog/x/link.yaml").symlink_to(outside)
    assert codes(tmp_path / "repository") == [("catalog/x/link.yaml", "link-outside")]


def test_loops_of_links_and_pipes_are_refused(write: Write, tmp_path: Path) -> None:
    write("catalog/x/store.yaml", ITEM.format(name="store"))
    folder = tmp_path / "catalog" / "x"
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    (folder / "around").symlink_to(tmp_path / "catalog")
    os.mkfifo(folder / "pipe.yaml")
    assert codes(tmp_path) == [
        ("catalog/x/loop.yaml", "unreadable-file"),
        ("catalog/x/pipe.yaml", "not-a-file"),
    ]


def test_exit_codes_say_valid_invalid_and_no_such_path(write: Write, tmp_path: Path) -> None:
    file = write("catalog/x/store.yaml", ITEM.format(name="store").replace("An item.", ""))
    assert pao_validate(file).return_value == 0
    assert pao_validate(file, "--strict").return_value == 1
    missing = pao_validate(tmp_path / "nowhere")
    assert "does not exist" in str(missing.exception)


@pytest.fixture
def wrong(write: Write) -> Path:
    return write(
        "catalog/x/store.yaml", ITEM.format(name="store").replace("version: 1.0.0", "version: 1,0")
    )


def test_text_names_place_code_and_sentence(wrong: Path) -> None:
    lines = pao_validate(wrong).output.splitlines()
    assert lines[0].startswith(
        "catalog/x/store.yaml:2:10: error[invalid-version] version: '1,0' is not"
    )
    assert lines[-1] == "0 valid documents, 1 error, 0 warnings"


@pytest.mark.parametrize("options", [["--format", "json"], ["--output", "json"]])
def test_json_has_everything(wrong: Path, options: list[str]) -> None:
    found = json.loads(pao_validate(wrong, *options).output)
    assert found["valid"] is False
    assert found["warnings"] == []
    assert found["errors"][0] | {"message": "", "allowed": ""} == {
        "code": "invalid-version",
        "file": "catalog/x/store.yaml",
        "line": 2,
        "column": 10,
        "path": "version",
        "message": "",
        "found": "the text '1,0'",
        "allowed": "",
        "suggestion": "",
        "severity": "error",
    }


def test_format_wins_over_output(wrong: Path) -> None:
    assert pao_validate(wrong, "--format", "text", "--output", "json").output.startswith("catalog/")


def test_github_annotations_are_escaped(wrong: Path) -> None:
    first = pao_validate(wrong, "--format", "github").output.splitlines()[0]
    start = (
        "::error file=catalog/x/store.yaml,line=2,col=10,title=invalid-version version::'1,0' is"
    )
    assert first.startswith(start)


def test_sarif_has_rules_and_places(wrong: Path) -> None:
    log = json.loads(pao_validate(wrong, "--format", "sarif").output)
    (run,) = log["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert log["version"] == "2.1.0"
    assert (
        run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"]
        == result["ruleId"]
        == "invalid-version"
    )
    assert place["artifactLocation"]["uri"] == "catalog/x/store.yaml"
    assert place["region"] == {"startLine": 2, "startColumn": 10}


def test_the_schema_of_a_repository_knows_its_own_types(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("pao-catalog.yml", "roots: [catalog]\n")
    write("catalog/x/store.yaml", ITEM.format(name="store"))
    types = write("types.yaml", "region: {base: selection, oneof: [eu, us]}\n")
    monkeypatch.chdir(tmp_path)
    here = CliRunner().invoke(pao, ["catalog", "schema"], standalone_mode=False).output
    named = (
        CliRunner()
        .invoke(pao, ["catalog", "schema", "--types", str(types)], standalone_mode=False)
        .output
    )
    assert json.loads(here)["$defs"]["OwnTypeField"]["properties"]["type"]["enum"] == ["region"]
    assert here == named
