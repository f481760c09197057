"""What the validator says at places where one fault hides another, or where one would be two."""

from __future__ import annotations

import re

import pytest

from engine.catalog.layout import Layout
from engine.catalog.validation import validate_set

BASE = """\
name: x
version: 1.0.0
owner: o
description: d
presentation: {fields: [{name: size, type: string}]}
fulfillment:
  manual: {system: email, template: {to: a@b.example, subject: "{{ size }}"}}
"""
GET = 'type: HttpGet, template: {url: "https://api.example.com/"}'
ITEM = """\
name: db
version: 1.0.0
owner: o
description: d
presentation: {fields: [{name: size, type: string}]}
fulfillment: {manual: {system: email, template: {to: a@b.example, subject: "{{ size }}"}}}
"""


def found(text: str) -> list[tuple[str, str]]:
    own = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    parts = re.split(r"^(?=\w+:)", BASE, flags=re.MULTILINE)
    whole = "".join(part for part in parts if part and part.split(":")[0] not in own) + text
    files = {"catalog/c/db.yaml": ITEM.encode(), "catalog/c/x.yaml": whole.encode()}
    return [(f.code, f.path) for f in validate_set(files, Layout()).findings]


def manual(section: str) -> str:
    return f"fulfillment: {{manual: {section}}}\n"


def automation(*steps: str, checks: str = "[]") -> str:
    return (
        'fulfillment:\n  manual: {system: email, template: {to: a@b.example, subject: "{{ size }}"}}\n'
        f"  automation: {{pre_execution_checks: {checks}, steps: [{', '.join(steps)}]}}\n"
    )


URL = 'url: "https://tickets.example.com/{{ size }}"'


@pytest.mark.parametrize(
    ("section", "place"),
    [
        (
            f'{{system: webhook, template: {{{URL}, body: {{headers: {{a: "{{{{ secrets.a }}}}"}}}}}}}}',
            "body.headers.a",
        ),
        (
            '{system: servicenow, template: {short_description: "{{ size }}", fields: {headers: "{{ secrets.a }}"}}}',
            "fields.headers",
        ),
    ],
)
def test_a_ticket_holds_no_secret_whatever_its_keys_are_called(section: str, place: str) -> None:
    expected = ("secret-not-allowed", f"fulfillment.manual.template.{place}")
    assert found(manual(section)) == [expected]


def test_the_headers_of_a_ticket_s_call_may_name_secrets() -> None:
    section = f'{{system: webhook, template: {{{URL}, headers: {{a: "{{{{ secrets.a }}}}"}}}}}}'
    assert found(manual(section)) == []


STATEMENT = '"{% if size %}a{% endif %}"'


@pytest.mark.parametrize(
    ("step", "place"),
    [
        (
            f"type: TerraformFile, template: {{module_source: modules/m, variables: {{body: {STATEMENT}}}}}",
            "variables.body",
        ),
        (
            f'type: HttpPost, template: {{url: "https://a.example.com/", headers: {{body: {STATEMENT}}}}}',
            "headers.body",
        ),
    ],
)
def test_statements_stand_in_bodies_of_calls_and_nowhere_else(step: str, place: str) -> None:
    expected = ("invalid-template", f"fulfillment.automation.steps[0].template.{place}")
    assert found(automation(f"{{name: a, {step}}}")) == [expected]


def test_bodies_of_calls_and_texts_of_issues_may_have_statements() -> None:
    call = f'{{name: a, type: HttpPut, template: {{url: "https://a.example.com/", body: {{k: {STATEMENT}}}}}}}'
    issue = f"{{name: b, type: JiraTicket, template: {{project: P, issue_type: T, summary: {STATEMENT}}}}}"
    assert found(automation(call, issue)) == []


CHECK = "fulfillment.automation.pre_execution_checks[0]"


@pytest.mark.parametrize(
    ("template", "code", "place"),
    [
        ('url: "https://b.example.com/{{ sise }}"', "unknown-name", "url"),
        ('url: "https://b.example.com/{{ secrets.a }}"', "secret-not-allowed", "url"),
        ('url: "https://b.example.com/{{ steps.a.outputs.b }}"', "unknown-name", "url"),
        ("url: ftp://b.example.com/", "invalid-url", "url"),
        ('url: "https://b.example.com/", json_path: "$..["', "invalid-jsonpath", "json_path"),
        ('url: "https://b.example.com/", max_age: 1x', "invalid-duration", "max_age"),
        ('url: "https://b.example.com/", max_aeg: 1h', "unknown-key", "max_aeg"),
        ("max_age: 1h", "missing-key", "url"),
    ],
)
def test_what_a_backup_check_asks_is_checked(template: str, code: str, place: str) -> None:
    checks = f"[{{check: check_backup_status, template: {{{template}}}}}]"
    text = automation(f"{{name: a, {GET}}}", checks=checks)
    assert found(text) == [(code, f"{CHECK}.template.{place}")]


def test_a_backup_check_that_can_be_asked_is_in_order() -> None:
    template = '{url: "https://b.example.com/{{ size }}", json_path: $.at, max_age: 24h}'
    text = automation(
        f"{{name: a, {GET}}}", checks=f"[{{check: check_backup_status, template: {template}}}]"
    )
    assert found(text) == []


def test_every_circle_of_steps_is_told() -> None:
    steps = [
        f"{{name: {name}, depends_on: {other}, {GET}}}"
        for name, other in (("a", "b"), ("b", "c"), ("c", "b"), ("d", "e"), ("e", "d"))
    ]
    places = [
        path.partition("steps")[2] for code, path in found(automation(*steps)) if code == "cycle"
    ]
    assert places == ["[1].depends_on", "[3].depends_on"]


def test_every_circle_of_conditions_is_told() -> None:
    fields = ", ".join(
        f"{{name: {name}, type: string, conditional: {{field: {other}, value: v}}}}"
        for name, other in (("size", "b"), ("b", "size"), ("c", "d"), ("d", "c"))
    )
    codes = [code for code, _ in found(f"presentation: {{fields: [{fields}]}}\n")]
    assert codes.count("cycle") == 2


def limits(*each: str) -> str:
    options = "presentation: {fields: [{name: size, type: selection, oneof: [s, m, l]}]}\n"
    return f"{options}access: {{limits: [{', '.join(each)}]}}\n"


def test_limits_that_leave_a_team_nothing_are_an_error() -> None:
    first, second = "{teams: [a], fields: {size: [s]}}", "{teams: [b, a], fields: {size: [m, l]}}"
    assert found(limits(first, second)) == [("empty-limit", "access.limits[1].fields.size")]


@pytest.mark.parametrize(
    "second",
    [
        "{teams: [b], fields: {size: [m]}}",
        "{teams: [a], fields: {size: [s, m]}}",
        "{teams: [a], max_active: 1}",
    ],
)
def test_limits_that_leave_something_are_in_order(second: str) -> None:
    assert found(limits("{teams: [a], fields: {size: [s]}}", second)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("presentation: {feilds: []}\n", ("unknown-key", "presentation.feilds")),
        ("presentation: {fields: {}}\n", ("wrong-type", "presentation.fields")),
        ("presentation: {}\n", ("missing-key", "presentation.fields")),
        ("presentation: []\n", ("wrong-type", "presentation")),
        (
            "presentation: {groups: [{fields: [{name: size, type: string}]}]}\n",
            ("missing-key", "presentation.groups[0].name"),
        ),
    ],
)
def test_fields_that_cannot_be_read_are_not_missed_by_templates(
    text: str, fault: tuple[str, str]
) -> None:
    assert found(text) == [fault]


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("{name: db, required_parameters: [size]}", ("missing-key", "version_range")),
        (
            '{name: db, version_range: ">2 <1", optional_parameters: [size]}',
            ("impossible-range", "version_range"),
        ),
    ],
)
def test_parameters_of_a_broken_target_are_not_missed_by_templates(
    target: str, fault: tuple[str, str]
) -> None:
    text = f"presentation: {{fields: []}}\ntargets: {{catalog_items: [{target}]}}\n"
    assert found(text) == [(fault[0], f"targets.catalog_items[0].{fault[1]}")]


def test_targets_that_cannot_be_read_are_not_missed_by_templates() -> None:
    text = "presentation: {fields: []}\ntargets: {catalog_items: []}\n"
    assert found(text) == [("too-short", "targets.catalog_items")]


def test_a_pattern_that_cannot_be_used_is_still_the_one_of_two() -> None:
    check = 'verification: {type: response_body, json_path: $.a, matches: "(?=a)"}'
    place = "fulfillment.automation.steps[0].verification.matches"
    assert found(automation(f"{{name: a, {GET}, {check}}}")) == [("invalid-regexp", place)]


def test_fields_of_a_template_that_cannot_be_read_are_not_called_unused() -> None:
    section = '{system: email, template: {to: a@b.example, subject: "{{ size | uper }}"}}'
    assert found(manual(section)) == [("unknown-filter", "fulfillment.manual.template.subject")]


def test_fields_are_not_called_unused_where_what_uses_them_cannot_be_read() -> None:
    assert found("fulfillment:\n") == [("wrong-type", "fulfillment")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            automation("{name: a, type: HttpPots, template: {}}", "{type: HttpGet, template: {}}"),
            {
                ("unknown-type", "fulfillment.automation.steps[0].type"),
                ("missing-key", "fulfillment.automation.steps[1].name"),
                ("missing-key", "fulfillment.automation.steps[1].template.url"),
            },
        ),
        (
            (
                "presentation: {fields: [{name: size, type: string, min_length: 2, max_length: 1},"
                " {type: string, max_lenght: 3}]}\n"
            ),
            {
                ("crossed-bounds", "presentation.fields[0].min_length"),
                ("missing-key", "presentation.fields[1].name"),
                ("unknown-key", "presentation.fields[1].max_lenght"),
            },
        ),
        (
            automation(
                f"{{name: a, {GET}, verification: [{{type: http_status}}, {{type: http_stauts}},"
                " {type: terraform_state}, 7, {type: http_probe, url: 'ftp://a.example.com'}]}"
            ),
            {
                ("missing-key", "fulfillment.automation.steps[0].verification[0].expected_status"),
                ("unknown-type", "fulfillment.automation.steps[0].verification[1].type"),
                ("unfit-verification", "fulfillment.automation.steps[0].verification[2].type"),
                ("wrong-type", "fulfillment.automation.steps[0].verification[3]"),
                ("invalid-url", "fulfillment.automation.steps[0].verification[4].url"),
            },
        ),
        (
            (
                "presentation: {fields: [{name: size, type: selection, default: c,"
                " oneof: [a, {label: B}, a, '', [d], {valeu: e}]},"
                " {name: disk, type: json, conditional: {field: size, value: z}}]}\n"
                "access: {limits: [{teams: [t], fields: {size: [y]}}]}\n"
            ),
            {
                ("missing-key", "presentation.fields[0].oneof[1].value"),
                ("duplicate-name", "presentation.fields[0].oneof[2]"),
                ("too-short", "presentation.fields[0].oneof[3]"),
                ("wrong-type", "presentation.fields[0].oneof[4]"),
                ("unknown-key", "presentation.fields[0].oneof[5].valeu"),
                ("unused-field", "presentation.fields[1].name"),
            },
        ),
        (
            automation(f"{{name: a, {GET}}}", checks="[{chek: x}, {check: nothing}]"),
            {
                ("unknown-key", "fulfillment.automation.pre_execution_checks[0].chek"),
                ("unknown-check", "fulfillment.automation.pre_execution_checks[1]"),
            },
        ),
    ],
    ids=["steps", "fields", "verifications", "options", "checks"],
)
def test_two_faults_of_one_part_hide_none_of_another(
    text: str, faults: set[tuple[str, str]]
) -> None:
    assert set(found(text)) == faults


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("presentation: {fields: [{name: size, tpye: string}]}\n", "presentation.fields[0].tpye"),
        ("fulfillment: {manual: {sytem: email, template: {}}}\n", "fulfillment.manual.sytem"),
        (
            automation('{name: a, tpye: HttpGet, template: {url: "https://a.example.com/"}}'),
            "fulfillment.automation.steps[0].tpye",
        ),
    ],
)
def test_a_misspelt_key_that_says_the_type_is_named(text: str, place: str) -> None:
    assert found(text) == [("unknown-key", place)]


def decommissioned(*steps: str) -> str:
    made = "{name: net, type: TerraformFile, template: {module_source: modules/net}}"
    return automation(made) + f"  decommission: {{automation: {{steps: [{', '.join(steps)}]}}}}\n"


def test_a_decommission_that_leaves_terraform_s_state_is_warned_of() -> None:
    down = "type: TerraformFile, template: {module_source: modules/net"
    left = [("state-left", "fulfillment.decommission")]
    assert found(decommissioned(f"{{name: a, {GET}}}")) == left
    assert found(decommissioned(f"{{name: other, {down}}}}}")) == left
    assert found(decommissioned(f"{{name: net, {down}}}}}")) == []
    assert found(decommissioned(f"{{name: other, {down}, state: net}}}}")) == []
