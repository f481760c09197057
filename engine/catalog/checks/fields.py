"""The rules of presentation fields: names, bounds, options, defaults, conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.catalog import fields as f
from engine.catalog.checks.addresses import check_url
from engine.catalog.checks.subject import Placed, Subject
from engine.catalog.conditions import same
from engine.catalog.documents import CatalogBundle
from engine.catalog.findings import Path
from engine.catalog.moments import (
    ALLOWED_DATE,
    Clock,
    is_date_format,
    known_zone,
    parse_date,
    parse_moment,
    parse_time,
)
from engine.catalog.steps import find_cycles
from engine.catalog.value_schema import schema_problems
from engine.catalog.value_types import Refused, Surroundings, check_value
from engine.errors import InvalidInput
from engine.jsonpaths import check_path

LONGEST_IN_SLACK: Final = 3000
"""Characters that Slack's text input takes."""


def check_presentation(subject: Subject) -> None:
    """Check the form of a document."""
    presentation = subject.document.presentation
    own = "bundle_fields" if isinstance(subject.document, CatalogBundle) else "fields"
    given = presentation.model_fields_set
    if {own, "groups"} <= given:
        message = f"a form has {own} or groups, not both"
        subject.error("conflicting-keys", ("presentation", "groups"), message, at_key=True)
    if not {own, "groups"} & given and not _is_misspelt(subject, own):
        subject.error("missing-key", ("presentation", own), f"{own!r} (or groups) is missing")
    subject.duplicates(
        [
            (group.name, ("presentation", "groups", index, "name"))
            for index, group in enumerate(presentation.groups or ())
        ],
        "group",
    )
    check_fields(subject, subject.placed)


def _is_misspelt(subject: Subject, own: str) -> bool:
    """Whether the fields stand there under another key, which is reported already."""
    return any(
        finding.path.startswith("presentation.") and finding.suggestion in (own, "groups")
        for finding in subject.shape.findings
    )


def check_fields(subject: Subject, placed: Sequence[Placed]) -> None:
    """Check a list of fields, with what they say about each other."""
    by_name = {spec.name: (path, spec) for path, spec in placed}
    subject.duplicates([(spec.name, (*path, "name")) for path, spec in placed], "field")
    for path, spec in placed:
        check_field(subject, path, spec)
        if spec.conditional is not None:
            _check_condition(subject, path, spec, by_name)
    _check_circles(subject, placed)


def check_field(subject: Subject, path: Path, spec: f.AnyField) -> None:
    """Check what a field says about itself."""
    before = len(subject.findings)
    _check_order(subject, path, spec)
    _check_visibility(subject, path, spec)
    own = _OWN_RULES.get(type(spec))
    if own is not None:
        own(subject, path, spec)
    if len(subject.findings) == before or not any(x.is_error for x in subject.findings[before:]):
        _check_default(subject, path, spec)


def check_condition_names(
    subject: Subject, path: Path, condition: f.Condition, by_name: Mapping[str, Placed]
) -> None:
    """Check the fields that a condition looks at, and the values it compares them with."""
    for place, part in _comparisons(path, condition):
        name = part.field or ""
        other = by_name.get(name)
        if other is None:
            subject.unknown("unknown-field", (*place, "field"), "field", name, by_name)
            continue
        key = "value" if "value" in part.model_fields_set else "not_value"
        wanted = getattr(part, key)
        can_be = _judge_of(subject, *other)
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value is not None and not can_be(value):
                message = f"the field {name!r} can never be {f.option_text(value)!r}"
                subject.warn("impossible-condition", (*place, key), message)


def _check_condition(
    subject: Subject, path: Path, spec: f.BaseField, by_name: Mapping[str, Placed]
) -> None:
    assert spec.conditional is not None  # noqa: S101  (the caller looked)
    check_condition_names(subject, (*path, "conditional"), spec.conditional, by_name)


def _comparisons(path: Path, condition: f.Condition) -> Iterator[tuple[Path, f.Condition]]:
    if condition.field is not None:
        yield path, condition
    for key in ("all", "any"):
        for index, part in enumerate(getattr(condition, key) or ()):
            yield from _comparisons((*path, key, index), part)
    if condition.not_ is not None:
        yield from _comparisons((*path, "not"), condition.not_)


def _judge_of(subject: Subject, path: Path, spec: f.BaseField) -> Callable[[Any], bool]:
    """Return the judgement whether a comparison with a value can ever be true."""
    if isinstance(spec, f.SelectionField | f.MultiselectField):
        is_open = spec.options_from is not None or getattr(spec, "allow_custom", False)
        if is_open or not subject.knows_options(path):
            return lambda _: True
        known = {_typed(option.value) for option in spec.choices}
        return lambda value: not isinstance(value, list | dict) and _typed(value) in known
    return lambda value: _is_possible(spec, value)


def _is_possible(spec: f.BaseField, value: Any) -> bool:
    try:
        return same(check_value(spec, value, Surroundings()), value)
    except (Refused, ValueError):
        return False


def _typed(value: Any) -> tuple[bool, Any]:
    """Return a scalar so that true is not 1."""
    return isinstance(value, bool), value


def _check_circles(subject: Subject, placed: Sequence[Placed]) -> None:
    graph = {s.name: tuple(s.conditional.names()) for _, s in placed if s.conditional is not None}
    for cycle in find_cycles(graph):
        path = next(path for path, spec in placed if spec.name == cycle[0])
        message = f"the conditions {' -> '.join(cycle)} depend on each other"
        subject.error("cycle", (*path, "conditional"), message)


_PAIRS: Final = (
    ("min_length", "max_length"),
    ("min_value", "max_value"),
    ("min_selections", "max_selections"),
)
_PAIRS_OF: Final = {
    kind: tuple(
        pair for pair in _PAIRS if pair[0] in kind.model_fields and pair[1] in kind.model_fields
    )
    for kind in f.FIELD_TYPES.values()
}


def _check_order(subject: Subject, path: Path, spec: f.AnyField) -> None:
    for low_name, high_name in _PAIRS_OF[type(spec)]:
        low, high = getattr(spec, low_name), getattr(spec, high_name)
        if low is not None and high is not None and low > high:
            message = f"{low_name} {low} is above {high_name} {high}"
            subject.error("crossed-bounds", (*path, low_name), message)


def _check_visibility(subject: Subject, path: Path, spec: f.AnyField) -> None:
    if isinstance(spec, f.SecretField):
        for key in ("default", "hidden", "readonly"):
            if getattr(spec, key):
                message = f"a secret cannot have {key}: nobody but the requester may know it"
                subject.error("secret-field", (*path, key), message, at_key=True)
        return
    for key in ("hidden", "readonly"):
        if getattr(spec, key) and spec.default is None:
            if spec.required:
                message = (
                    f"the field is required and {key}, and has no default: no value is possible"
                )
                subject.error("no-value", (*path, key), message, at_key=True)
            else:
                subject.warn("no-default", (*path, key), f"the field is {key} and has no default")
            return


def _check_default(subject: Subject, path: Path, spec: f.AnyField) -> None:
    if spec.default is None or isinstance(spec, f.SecretField) or not subject.knows_options(path):
        return
    default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
    try:
        check_value(spec, default, Surroundings())
    except Refused as refusal:
        message = f"the default breaks the field's own rules: {refusal.message}"
        subject.error("invalid-default", (*path, "default"), message)


def _text_rules(subject: Subject, path: Path, spec: Any) -> None:
    if spec.max_length is not None and spec.max_length > LONGEST_IN_SLACK:
        message = (
            f"Slack takes {LONGEST_IN_SLACK} characters at most; longer values come by command"
        )
        subject.warn("longer-than-slack", (*path, "max_length"), message)


def _date_rules(subject: Subject, path: Path, spec: f.DateField) -> None:
    if spec.format is not None and not is_date_format(spec.format):
        message = f"{spec.format!r} does not tell how a date looks"
        subject.error("invalid-format", (*path, "format"), message, allowed="like DD.MM.YYYY")
        return
    read = lambda text: parse_date(text, Clock(), spec.format)  # noqa: E731
    _moments(subject, path, spec, ("min_date", "max_date"), read)


def _datetime_rules(subject: Subject, path: Path, spec: f.DatetimeField) -> None:
    if spec.timezone not in (None, "system", "user"):
        try:
            known_zone(spec.timezone or "")
        except ValueError as error:
            allowed = "system, user, or an IANA name such as Europe/Berlin"
            subject.error("unknown-zone", (*path, "timezone"), str(error), allowed=allowed)
            return
    read = lambda text: parse_moment(text, Clock(), spec.timezone)  # noqa: E731
    _moments(subject, path, spec, ("min_datetime", "max_datetime"), read)


def _time_rules(subject: Subject, path: Path, spec: f.TimeField) -> None:
    read = lambda text: parse_time(text, with_seconds=spec.with_seconds)  # noqa: E731
    _moments(subject, path, spec, ("min_time", "max_time"), read)


def _moments(
    subject: Subject, path: Path, spec: f.AnyField, names: tuple[str, str], read: Any
) -> None:
    """Check that bounds and default can be read, and that the bounds are in order."""
    found: dict[str, Any] = {}
    for name in (*names, "default"):
        text = getattr(spec, name)
        if text is not None:
            try:
                found[name] = read(text)
            except ValueError as error:
                allowed = ALLOWED_DATE if isinstance(spec, f.DateField) else ""
                subject.error("invalid-moment", (*path, name), str(error), allowed=allowed)
    low, high = (found.get(name) for name in names)
    if low is not None and high is not None and low > high:
        message = f"{names[0]} is after {names[1]}"
        if isinstance(spec, f.TimeField):
            message += "; a range over midnight is not possible"
        subject.error("crossed-bounds", (*path, names[0]), message)


def _choice_rules(
    subject: Subject, path: Path, spec: f.SelectionField | f.MultiselectField
) -> None:
    key = "oneof" if isinstance(spec, f.SelectionField) else "options"
    own = getattr(spec, key)
    if own is None and spec.options_from is None:
        subject.error("missing-key", (*path, key), f"{key!r} (or options_from) is missing")
    if own is not None and spec.options_from is not None:
        message = f"{key} and options_from exclude each other; static options go into fallback"
        subject.error("conflicting-keys", (*path, "options_from"), message, at_key=True)
    if own is not None:
        _options(subject, (*path, key), own)
    if spec.options_from is not None:
        _option_source(subject, (*path, "options_from"), spec.options_from)
    if isinstance(spec, f.MultiselectField) and own is not None:
        fewest = spec.min_selections or 0
        if own and fewest > len(own):
            message = f"min_selections {fewest} is more than the {len(own)} options"
            subject.error("crossed-bounds", (*path, "min_selections"), message)


def _options(subject: Subject, path: Path, options: Sequence[f.Option]) -> None:
    if not options:
        subject.error("too-short", path, "at least one option is needed")
    for index, option in enumerate(options):
        if not option.text.strip():
            subject.error("too-short", (*path, index), "an option's value cannot be an empty text")
    subject.duplicates([(o.text, (*path, index)) for index, o in enumerate(options)], "option")


def _option_source(subject: Subject, path: Path, source: f.OptionsFrom) -> None:
    check_url(subject, (*path, "url"), source.url)
    check_json_path(subject, (*path, "json_path"), source.json_path)
    if source.fallback is not None:
        _options(subject, (*path, "fallback"), source.fallback)


def check_json_path(subject: Subject, path: Path, text: str | None) -> None:
    """Check that a JSONPath can be followed."""
    if text is None or "{{" in text:
        return
    try:
        check_path(text)
    except InvalidInput as error:
        subject.error(
            "invalid-jsonpath", path, str(error), allowed="a JSONPath such as $.items[*].id"
        )


def _json_rules(subject: Subject, path: Path, spec: f.JsonField) -> None:
    if spec.schema_ is None:
        return
    for inner, message in schema_problems(spec.schema_):
        subject.error("invalid-schema", (*path, "schema", *inner), message)


_OWN_RULES: Final[Mapping[type, Any]] = {
    f.StringField: _text_rules,
    f.TextareaField: _text_rules,
    f.DateField: _date_rules,
    f.DatetimeField: _datetime_rules,
    f.TimeField: _time_rules,
    f.SelectionField: _choice_rules,
    f.MultiselectField: _choice_rules,
    f.JsonField: _json_rules,
}
