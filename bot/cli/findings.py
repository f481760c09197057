"""Findings of the validator in the four formats: text, JSON, GitHub annotations, SARIF 2.1.0."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bot.cli.output import printable

if TYPE_CHECKING:
    from engine.catalog.findings import Finding

MANUAL: Final = "docs/catalog-errors.md"
SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def formatted(form: str, findings: Sequence[Finding], documents: int) -> str:
    """Return findings in a format; `documents` is how many are in order."""
    return FORMATS[form](findings, documents)


def as_data(findings: Sequence[Finding], documents: int) -> dict[str, Any]:
    """Return the JSON of `--format json`."""
    return {
        "valid": not any(finding.is_error for finding in findings),
        "documents": documents,
        "errors": [finding.as_json() for finding in findings if finding.is_error],
        "warnings": [finding.as_json() for finding in findings if not finding.is_error],
    }


def _text(findings: Sequence[Finding], documents: int) -> str:
    return "\n".join([*map(_line, findings), _summary(findings, documents)])


def _line(finding: Finding) -> str:
    place = f"{finding.file}:{finding.line}:{finding.column}"
    where = f" {finding.path}:" if finding.path else ""
    return printable(f"{place}: {finding.severity}[{finding.code}]{where} {finding.text}")


def _summary(findings: Sequence[Finding], documents: int) -> str:
    count = Counter(finding.severity for finding in findings)
    return ", ".join(
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in (
            (documents, "valid document"),
            (count["error"], "error"),
            (count["warning"], "warning"),
        )
    )


def _json(findings: Sequence[Finding], documents: int) -> str:
    return json.dumps(as_data(findings, documents), indent=2, ensure_ascii=False)


def _github(findings: Sequence[Finding], documents: int) -> str:
    """Workflow commands; https://docs.github.com/actions/reference/workflow-commands."""
    return "\n".join([*map(_annotation, findings), _summary(findings, documents)])


def _annotation(finding: Finding) -> str:
    properties = {
        "file": finding.file,
        "line": finding.line,
        "col": finding.column,
        "title": f"{finding.code} {finding.path}".strip(),
    }
    facts = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{finding.severity} {facts}::{_message(finding.text)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(findings: Sequence[Finding], _documents: int) -> str:
    """https://docs.oasis-open.org/sarif/sarif/v2.1.0/."""
    codes = sorted({finding.code for finding in findings})
    rules = [
        {"id": code, "helpUri": f"{MANUAL}#{code}", "shortDescription": {"text": code}}
        for code in codes
    ]
    run = {
        "tool": {"driver": {"name": "pao", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes.index(finding.code)) for finding in findings],
    }
    log = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": finding.text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(finding.file), "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": finding.line, "startColumn": finding.column},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.path}],
            }
        ],
    }


FORMATS: Final[Mapping[str, Callable[[Sequence[Finding], int], str]]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
