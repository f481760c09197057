"""What the validator says of literal addresses, without and with the settings of an installation."""

from __future__ import annotations

import pytest

from engine.catalog.addresses import compare_url
from engine.catalog.checks import Known
from engine.catalog.layout import STANDALONE
from engine.catalog.validation import validate_set

DOCUMENT = """\
name: x
version: 1.0.0
owner: o
description: d
presentation: {fields: []}
fulfillment:
  manual: {system: jira, template: {project: P, issue_type: Task, summary: s}}
  automation:
    steps:
    - {name: call, type: HttpGet, template: {url: "URL"}}
"""


def codes(url: str, *allow: str) -> list[str]:
    files = {"x.yaml": DOCUMENT.replace("URL", url).encode()}
    report = validate_set(files, STANDALONE, Known(outbound_allow=allow))
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:8000/x", "private-address"),
        ("https://0x7f000001/x", "private-address"),
        ("https://2130706433/x", "private-address"),
        ("https://[::ffff:10.0.0.1]/x", "private-address"),
        ("https://169.254.169.254/latest", "private-address"),
        ("https://localhost/x", "private-address"),
        ("http://api.example.com/x", "plain-http"),
        ("ftp://api.example.com/x", "invalid-url"),
    ],
)
def test_what_is_refused_unless_it_is_allowed(url: str, code: str) -> None:
    assert codes(url) == [code]


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("http://127.0.0.1:8000/x", "127.0.0.1"),
        ("http://127.0.0.1:8000/x", "127.0.0.0/8"),
        ("https://0x7f000001/x", "127.0.0.0/8"),
        ("https://localhost/x", "localhost"),
        ("https://[fd00::1]/x", "fd00::/8"),
        ("http://api.example.com/x", "API.example.com"),
    ],
)
def test_what_the_settings_allow_is_no_warning(url: str, allow: str) -> None:
    assert codes(url, "other.example.com", "10.0.0.0/8", allow) == []


def test_what_the_settings_allow_is_still_an_address() -> None:
    assert codes("ftp://127.0.0.1/x", "127.0.0.1") == ["invalid-url"]
    assert codes("http://127.0.0.1/x", "128.0.0.0/8", "localhost") == ["private-address"]


@pytest.mark.parametrize(
    ("repository", "found"),
    [
        ("acme/infra", []),
        ("acme/{{ requester.name }}", []),
        ("infra", ["invalid-repository"]),
        ("acme/infra/x", ["invalid-repository"]),
        ("acme/..", ["invalid-repository"]),
        ("https://github.com/acme/infra", ["invalid-repository"]),
    ],
)
def test_a_repository_is_an_owner_and_a_name(repository: str, found: list[str]) -> None:
    step = f'{{name: run, type: GitHubWorkflow, template: {{repository: "{repository}", workflow_id: a}}}}'
    text = DOCUMENT.replace('{name: call, type: HttpGet, template: {url: "URL"}}', step)
    report = validate_set({"x.yaml": text.encode()}, STANDALONE, Known())
    assert [finding.code for finding in report.findings] == found


def test_the_page_of_a_difference() -> None:
    assert (
        compare_url("https://token@github.com/acme/catalog.git", "a", "b")
        == "https://github.com/acme/catalog/compare/a...b"
    )
    assert (
        compare_url("https://gitlab.example.com/acme/catalog/", "a", "b")
        == "https://gitlab.example.com/acme/catalog/-/compare/a...b"
    )
    assert compare_url("file:///srv/catalog.git", "a", "b") is None
    assert compare_url("ssh://git@github.com/acme/catalog", "a", "b") is None
    assert compare_url("https://github.com/acme/catalog", "a", "a") is None
