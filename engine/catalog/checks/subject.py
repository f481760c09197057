"""What a check works on: one document with its places, and what is known around it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.catalog.documents import CatalogBundle, Document
from engine.catalog.fields import AnyField
from engine.catalog.findings import Finding, Path, Severity, path_text
from engine.catalog.shape import Shape
from engine.catalog.source import Source
from engine.catalog.steps import STEP_TYPES
from engine.catalog.suggest import closest
from engine.catalog.tickets import TICKET_SYSTEMS
from engine.catalog.verification import VERIFICATION_TYPES

PRE_EXECUTION_CHECKS: Final = (
    "verify_target_compatibility",
    "check_backup_status",
    "validate_maintenance_window",
)
"""The pre-execution checks that need no plug-in."""

ANY_STEP: Final = frozenset({"http_probe", "version_check", "backup_completion"})
"""Verifications that every step type with outputs can answer."""

_HTTP: Final = frozenset({"http_status", "response_body", "headers_present"})
ANSWERS: Final[Mapping[str, frozenset[str]]] = {
    "TerraformFile": ANY_STEP | {"terraform_state", "resource_health", "configuration_check"},
    "GitHubWorkflow": ANY_STEP | {"workflow_status", "artifact_exists"},
    **dict.fromkeys(
        ("HttpPost", "HttpPut", "HttpGet", "HttpPatch", "HttpDelete"), ANY_STEP | _HTTP
    ),
    "JiraTicket": ANY_STEP | {"ticket_status", "resolution_time"},
    "approval": ANY_STEP,
}
"""The verifications that each built-in step type can answer."""


@dataclass(frozen=True, slots=True)
class PluginStep:
    """What the validator must know of a step type from a plug-in."""

    verifications: frozenset[str] = frozenset()
    outputs: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known around the documents: plug-ins, settings, the repository's files.

    `has_module` says whether a path of the repository is a folder; None where nobody can tell.
    `module_allow` are the prefixes of allowed registry and Git sources; None where the settings
    are not known, which makes such a source a warning. `outbound_allow` are the hosts and networks
    that calls may go to though they are inside; empty where the settings are not known.
    """

    plugin_steps: Mapping[str, PluginStep] = field(default_factory=dict)
    plugin_verifications: frozenset[str] = frozenset()
    plugin_systems: frozenset[str] = frozenset()
    plugin_checks: frozenset[str] = frozenset()
    has_module: Callable[[str], bool] | None = None
    module_allow: tuple[str, ...] | None = None
    outbound_allow: tuple[str, ...] = ()

    @property
    def step_types(self) -> tuple[str, ...]:
        """Every step type there is."""
        return (*STEP_TYPES, *self.plugin_steps)

    @property
    def verifications(self) -> tuple[str, ...]:
        """Every verification there is."""
        return (*VERIFICATION_TYPES, *sorted(self.plugin_verifications))

    @property
    def systems(self) -> tuple[str, ...]:
        """Every ticket system there is."""
        return (*TICKET_SYSTEMS, *sorted(self.plugin_systems))

    @property
    def checks(self) -> tuple[str, ...]:
        """Every pre-execution check there is."""
        return (*PRE_EXECUTION_CHECKS, *sorted(self.plugin_checks))

    def answers(self, step_type: str) -> frozenset[str]:
        """Return the verifications that a step type can answer."""
        plugin = self.plugin_steps.get(step_type)
        if plugin is not None:
            return ANY_STEP | plugin.verifications
        return ANSWERS.get(step_type, frozenset(self.verifications))


Placed = tuple[Path, AnyField]


@dataclass(slots=True)
class Subject:
    """One document under check; collects what is wrong with it.

    `data` is the document with own types expanded; `category` and `owner` are as the
    repository's settings complete them; `outbound_allow` is what is known of the installation's.
    """

    source: Source
    document: Document
    shape: Shape[Document]
    data: Mapping[str, Any]
    category: str | None = None
    owner: str | None = None
    outbound_allow: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    placed: tuple[Placed, ...] = ()
    """The fields of the form, each with its place."""

    def __post_init__(self) -> None:
        """Find the fields once; every theme asks for them."""
        self.placed = tuple(_placed_fields(self.document))

    def knows_options(self, path: Path) -> bool:
        """Whether all options of the field at a path could be read."""
        keys = ("oneof", "options", "options_from")
        return not any(self.shape.is_touched((*path, key)) for key in keys)

    def error(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        allowed: str = "",
        suggestion: str | None = None,
        at_key: bool = False,
    ) -> None:
        """Report what keeps the document out of service, unless the place is broken anyway."""
        self._report(code, path, message, allowed=allowed, suggestion=suggestion, at_key=at_key)

    def warn(self, code: str, path: Path, message: str, *, at_key: bool = False) -> None:
        """Report what is probably not meant."""
        self._report(code, path, message, severity="warning", at_key=at_key)

    def unknown(self, code: str, path: Path, what: str, name: str, known: Collection[str]) -> None:
        """Report a name that does not exist, with those that do."""
        shown = sorted(known)
        allowed = ", ".join(shown[:40]) + (" ..." if len(shown) > 40 else "") or "none"
        self.error(
            code,
            path,
            f"there is no {what} {name!r}",
            allowed=allowed,
            suggestion=closest(name, known),
        )

    def duplicates(self, names: Collection[tuple[str, Path]], what: str) -> None:
        """Report each name that stands a second time."""
        first: dict[str, Path] = {}
        for name, path in names:
            if name in first:
                line = self.source.place(first[name])[0]
                message = f"the {what} {name!r} stands twice; first in line {line}"
                self.error("duplicate-name", path, message)
            else:
                first[name] = path

    def _report(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        severity: Severity = "error",
        allowed: str = "",
        suggestion: str | None = None,
        at_key: bool = False,
    ) -> None:
        if self.shape.is_broken(path) or path_text(path) in self.source.complaints:
            return
        self.findings.append(
            self.source.find(
                code,
                path,
                message,
                allowed=allowed,
                suggestion=suggestion,
                severity=severity,
                at_key=at_key,
            )
        )


def _placed_fields(document: Document) -> Iterator[Placed]:
    presentation = document.presentation
    own = "bundle_fields" if isinstance(document, CatalogBundle) else "fields"
    for index, spec in enumerate(getattr(presentation, own) or ()):
        yield ("presentation", own, index), spec
    for number, group in enumerate(presentation.groups or ()):
        for index, spec in enumerate(group.fields):
            yield ("presentation", "groups", number, "fields", index), spec
