"""Values of parameters and outputs, as people read them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bot.messages.text import code, cut, escaped, one_line

SHOWN: Final = 300
"""Characters of a value in a list; the command line shows all of it."""

COMPONENTS: Final = "components"
"""Where the parameters of a bundle's components stand among its own."""

STANDING_WORDS: Final[Mapping[str | None, str]] = {
    "approval": "waiting for approval",
    "scheduled": "scheduled",
}
"""What follows "is" where a request's status does not say how it stands (RequestView.stands)."""

Labels = Mapping[str, Mapping[str, str]]
"""What the form called the options of a selection: {parameter: {value as text: label}}."""


def value_in_words(value: Any) -> str:
    """Return a value as people read it."""
    if value is None or (isinstance(value, str | list | tuple) and not value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and not any(isinstance(one, Mapping) for one in value):
        return ", ".join(value_in_words(one) for one in value)
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def changes_in_words(plan: Mapping[str, int]) -> str:
    """Return what a plan of Terraform's would do, {add, change, destroy}, without what it would not."""
    told = [f"{plan[verb]} to {verb}" for verb in ("add", "change", "destroy") if plan.get(verb)]
    return ", ".join(told) or "no changes"


def shown(value: Any, limit: int = SHOWN) -> str:
    """Return a value on one line, cut to `limit`."""
    return cut(one_line(value_in_words(value)), limit)


def rows(values: Mapping[str, Any], limit: int) -> list[tuple[str, str]]:
    """Return (key, value in words) of the first `limit` values, the last of them a count of the rest."""
    told = [(key, shown(value)) for key, value in list(values.items())[:limit]]
    more = len(values) - len(told)
    return [*told[:-1], ("…", f"and {more + 1} more")] if more > 0 else told


def by_component(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs of a bundle, {component: {key: value}}, with one name each."""
    told: dict[str, Any] = {}
    for component, given in outputs.items():
        if isinstance(given, Mapping):
            told |= {f"{component}.{key}": value for key, value in given.items()}
        else:
            told[component] = given
    return told


def parameter_rows(
    parameters: Mapping[str, Any], names: Mapping[str, str], labels: Labels
) -> Iterator[tuple[str, str]]:
    """Yield (what the form called it, value) of each parameter given; a bundle's by component."""
    for key, value in parameters.items():
        if key == COMPONENTS and isinstance(value, Mapping):
            yield from _component_rows(value, names, labels)
        elif value is not None:
            yield names.get(key, key), shown(_labelled(value, labels.get(key, {})))


def lines(outputs: Mapping[str, Any], limit: int) -> str:
    """Return values as a list in a message's text, exact as code."""
    told = [
        f"• *{escaped(one_line(key), 100)}*: {code(shown(value), 300)}"
        for key, value in list(outputs.items())[:limit]
    ]
    if len(outputs) > limit:
        told.append(f"… and {len(outputs) - limit} more")
    return "\n".join(told)


def _component_rows(
    components: Mapping[str, Any], names: Mapping[str, str], labels: Labels
) -> Iterator[tuple[str, str]]:
    for component, fields in components.items():
        if not isinstance(fields, Mapping):
            continue
        told = [
            f"{names.get(path, key)}: {value_in_words(_labelled(value, labels.get(path, {})))}"
            for key, value in fields.items()
            if value is not None
            for path in [f"{component}.{key}"]
        ]
        if told:
            yield component, cut(one_line(", ".join(told)), SHOWN)


def _labelled(value: Any, labels: Mapping[str, str]) -> Any:
    """Return the label of an option in place of its value; of several, of each."""
    if isinstance(value, list | tuple):
        return [_labelled(one, labels) for one in value]
    known = isinstance(value, str | int | float | bool)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return labels.get(text, value) if known else value


def count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 step", "3 steps"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], limit: int = 10) -> str:
    """Return names as code, in one line."""
    told = ", ".join(code(name) for name in names[:limit])
    return told + (f" and {len(names) - limit} more" if len(names) > limit else "")
