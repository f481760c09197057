"""The rules of fulfillment: tickets, steps and their order, retry, verification, outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.catalog import steps as s
from engine.catalog import verification as v
from engine.catalog.checks.addresses import check_module, check_repository, check_url
from engine.catalog.checks.fields import check_fields, check_json_path
from engine.catalog.checks.subject import ANY_STEP, Known, Subject
from engine.catalog.documents import Automation, Fulfillment
from engine.catalog.findings import Path
from engine.catalog.scalars import describe
from engine.catalog.suggest import closest
from engine.catalog.tickets import EmailTemplate, PluginManual, WebhookTemplate
from engine.durations import ALLOWED, format_duration, parse_duration
from engine.regexps import compile_pattern
from engine.templates import has_template

RESERVED_OUTPUTS = frozenset({"approved_by"})


def check_fulfillment(subject: Subject, fulfillment: Fulfillment, known: Known) -> None:
    """Check all that a document does."""
    check_manual(subject, ("fulfillment", "manual"), fulfillment.manual, known)
    if fulfillment.automation is not None:
        _check_automation(subject, ("fulfillment", "automation"), fulfillment.automation, known)
    if fulfillment.rollback is not None:
        check_steps(subject, ("fulfillment", "rollback"), fulfillment.rollback.steps, known)
    down = fulfillment.decommission
    if down is not None:
        path: Path = ("fulfillment", "decommission")
        if down.manual is None and down.automation is None:
            subject.error("missing-key", (*path, "automation"), "manual or automation is missing")
        if down.manual is not None:
            check_manual(subject, (*path, "manual"), down.manual, known)
        if down.automation is not None:
            _check_automation(subject, (*path, "automation"), down.automation, known)
        _check_states(subject, path, fulfillment.automation, down.automation)


def _check_states(
    subject: Subject, path: Path, made: Automation | None, down: Automation | None
) -> None:
    """Warn of Terraform states that the decommission of a document leaves behind."""
    taken = _states(down)
    if any(map(has_template, taken)):  # whichever they may be
        return
    for state in _states(made):
        if state not in taken:
            message = (
                f"no TerraformFile step here takes down the state {state!r}: what Terraform made "
                "stays, and nobody is told"
            )
            subject.warn("state-left", path, message, at_key=True)


def _states(automation: Automation | None) -> list[str]:
    steps = automation.steps if automation else ()
    return [step.template.state or step.name for step in steps if isinstance(step, s.TerraformStep)]


def check_manual(subject: Subject, path: Path, manual: Any, known: Known) -> None:
    """Check where work for people goes."""
    template = manual.template
    if isinstance(manual, PluginManual):
        if manual.system not in known.systems:
            place = (*path, "system")
            subject.unknown("unknown-type", place, "ticket system", manual.system, known.systems)
    elif isinstance(template, EmailTemplate):
        if not template.to:
            subject.error("too-short", (*path, "template", "to"), "an address is needed")
    elif isinstance(template, WebhookTemplate):
        check_url(subject, (*path, "template", "url"), template.url)
        check_json_path(subject, (*path, "template", "id_path"), template.id_path)
        if template.status_url is not None:
            check_url(subject, (*path, "template", "status_url"), template.status_url)


def _check_automation(subject: Subject, path: Path, automation: Automation, known: Known) -> None:
    _check_retry(subject, (*path, "retry_policy"), automation.retry_policy)
    for index, call in enumerate(automation.pre_execution_checks):
        place = (*path, "pre_execution_checks", index)
        if call.check not in known.checks:
            subject.unknown("unknown-check", place, "check", call.check, known.checks)
        elif call.check == "check_backup_status":
            _check_backup(subject, place, call.template)
    check_steps(subject, path, automation.steps, known)


BACKUP_KEYS = ("url", "json_path", "max_age")


def _check_backup(subject: Subject, place: Path, template: Mapping[str, Any] | None) -> None:
    """Check what the backup check asks (engine.checks.backup reads it when it is asked)."""
    if template is None:
        message = "check_backup_status has nothing to ask and will fail: no backup provider"
        subject.warn("no-backup-provider", place, message)
        return
    path = (*place, "template")
    for key in template.keys() - set(BACKUP_KEYS):
        subject.error(
            "unknown-key",
            (*path, key),
            f"unknown key {key!r}",
            allowed=", ".join(BACKUP_KEYS),
            suggestion=closest(key, BACKUP_KEYS),
            at_key=True,
        )
    if "url" not in template:
        subject.error("missing-key", (*path, "url"), "'url' is missing")
    for key in ("url", "json_path"):
        if not isinstance(template.get(key, ""), str):
            message = f"a text is needed, found {describe(template[key])}"
            subject.error("wrong-type", (*path, key), message, allowed="a text")
            return
    if "url" in template:
        check_url(subject, (*path, "url"), template["url"])
    check_json_path(subject, (*path, "json_path"), template.get("json_path"))
    _check_age(subject, (*path, "max_age"), template.get("max_age"))


def _check_age(subject: Subject, path: Path, age: Any) -> None:
    if age is None or (isinstance(age, str) and has_template(age)):
        return
    try:
        parse_duration(age)
    except ValueError as error:
        subject.error("invalid-duration", path, str(error), allowed=ALLOWED)


def check_steps(subject: Subject, path: Path, steps: Sequence[s.BaseStep], known: Known) -> None:
    """Check a sequence of steps: each by itself, and their order."""
    places = [(*path, "steps", index) for index in range(len(steps))]
    subject.duplicates(
        [(step.name, (*place, "name")) for place, step in zip(places, steps, strict=True)], "step"
    )
    names = {step.name for step in steps}
    for place, step in zip(places, steps, strict=True):
        _check_step(subject, place, step, known)
        for index, name in enumerate(step.depends_on or ()):
            here = (*place, "depends_on")
            here = (*here, index) if subject.source.has((*here, index)) else here
            if name == step.name:
                subject.error("cycle", here, f"the step {name!r} waits for itself")
            elif name not in names:
                subject.unknown("unknown-step", here, "step", name, names)
    _check_cycle(subject, places, steps)


def _check_cycle(subject: Subject, places: Sequence[Path], steps: Sequence[s.BaseStep]) -> None:
    graph = {
        name: tuple(other for other in others if other != name)
        for name, others in s.step_graph(steps).items()
    }
    for cycle in s.find_cycles(graph):
        index = next(i for i, step in enumerate(steps) if step.name == cycle[0])
        message = f"the steps {' -> '.join(cycle)} wait for each other"
        subject.error("cycle", (*places[index], "depends_on"), message)


def _check_step(subject: Subject, path: Path, step: s.BaseStep, known: Known) -> None:
    template = (*path, "template")
    if isinstance(step, s.PluginStep) and step.type not in known.step_types:
        subject.unknown("unknown-type", (*path, "type"), "step type", step.type, known.step_types)
        return
    _check_retry(subject, (*path, "retry_policy"), step.retry_policy)
    if isinstance(step, s.TerraformStep):
        check_module(subject, template, step.template, known)
    elif isinstance(step, s.GitHubStep):
        check_repository(subject, template, step.template)
    elif isinstance(step, s.HttpStep):
        _check_http(subject, template, step.template)
    elif isinstance(step, s.ApprovalStep):
        fields = step.template.fields or ()
        check_fields(subject, [((*template, "fields", i), spec) for i, spec in enumerate(fields)])
        for index, spec in enumerate(fields):
            if spec.name in RESERVED_OUTPUTS:
                message = f"the output {spec.name!r} is who approved; give the field another name"
                subject.error("reserved-name", (*template, "fields", index, "name"), message)
    _check_outputs(subject, path, step.outputs)
    for index, check in enumerate(step.verification):
        place = (*path, "verification")
        place = (*place, index) if subject.source.has((*place, index)) else place
        _check_verification(subject, place, step, check, known)


def _check_http(subject: Subject, path: Path, template: s.HttpTemplate) -> None:
    check_url(subject, (*path, "url"), template.url)
    if not isinstance(template.async_, s.Asynchronous):
        return
    for key in ("done", "failed"):
        match = getattr(template.async_, key)
        if match is not None:
            check_json_path(subject, (*path, "async", key, "json_path"), match.json_path)
            for pattern in [match.matches] if isinstance(match.matches, str) else match.matches:
                _check_pattern(subject, (*path, "async", key, "matches"), pattern)


def _check_pattern(subject: Subject, path: Path, pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except ValueError as error:
        message = f"the pattern {pattern!r} cannot be used: {error}"
        subject.error("invalid-regexp", path, message)


def _check_outputs(subject: Subject, path: Path, outputs: Any) -> None:
    if isinstance(outputs, Mapping):
        for key, where in outputs.items():
            place = (*path, "outputs", key)
            if isinstance(where, s.OutputPath):
                check_json_path(subject, (*place, "path"), where.path)
            else:
                check_json_path(subject, place, where)
    elif outputs is not None:
        subject.duplicates(
            [(name, (*path, "outputs", index)) for index, name in enumerate(outputs)], "output"
        )


def _check_retry(subject: Subject, path: Path, policy: s.RetryPolicy | None) -> None:
    if policy is None or policy.initial_delay is None or policy.max_delay is None:
        return
    if policy.initial_delay > policy.max_delay:
        low, high = format_duration(policy.initial_delay), format_duration(policy.max_delay)
        message = f"initial_delay {low} is above max_delay {high}"
        subject.error("crossed-bounds", (*path, "initial_delay"), message)


def _check_verification(
    subject: Subject, path: Path, step: s.BaseStep, check: v.Verification, known: Known
) -> None:
    if check.type not in known.verifications:
        place = (*path, "type")
        subject.unknown("unknown-type", place, "verification", check.type, known.verifications)
        return
    fitting = known.answers(step.type) | known.plugin_verifications
    if check.type not in fitting:
        message = f"a {step.type} step cannot answer the verification {check.type}"
        allowed = ", ".join(sorted(fitting - ANY_STEP) + sorted(ANY_STEP))
        subject.error("unfit-verification", (*path, "type"), message, allowed=allowed)
    if isinstance(check, v.ResponseBody):
        check_json_path(subject, (*path, "json_path"), check.json_path)
        given = [key for key in ("expected", "matches") if subject.source.has((*path, key))]
        if len(given) != 1:
            message = "response_body has one of expected and matches"
            subject.error("conflicting-keys", (*path, "expected"), message)
    if isinstance(check, v.HttpProbe):
        check_url(subject, (*path, "url"), check.url)
