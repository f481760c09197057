"""A step's `outputs`: which values of an answer other steps may name, and where they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import InvalidInput, StepFailed
from engine.jsonpaths import NoMatch, first_at
from engine.steps.base import Json


@dataclass(frozen=True, slots=True)
class Output:
    """An output's value. `source` is the top-level key of the document that it was taken from.

    None: it is the whole document; "": it is the default that the step's author wrote.
    """

    value: Json
    source: str | None


def take_outputs(config: Mapping[str, Json], document: Json) -> dict[str, Output]:
    """Return the outputs of a step by the `outputs` of its document.

    Without any they are the top-level keys of `document`, where that is an object. A list names
    keys, a mapping gives JSONPaths or `{path, default}`. StepFailed (permanent) names the output
    that is not there.
    """
    declared = config.get("outputs")
    if declared is None:
        top = document if isinstance(document, Mapping) else {}
        return {str(key): Output(value, str(key)) for key, value in top.items()}
    if isinstance(declared, Mapping):
        return {name: _at(name, where, document) for name, where in declared.items()}
    return {name: _named(name, document) for name in declared}


def _named(name: str, document: Json) -> Output:
    if not isinstance(document, Mapping) or name not in document:
        raise _missing(name, "the answer has no such key")
    return Output(document[name], name)


def _at(name: str, where: Json, document: Json) -> Output:
    path = where["path"] if isinstance(where, Mapping) else where
    try:
        value, parts = first_at(str(path), document)
    except NoMatch as error:
        if isinstance(where, Mapping) and "default" in where:
            return Output(where["default"], "")
        raise _missing(name, str(error)) from None
    except InvalidInput as error:
        raise _missing(name, str(error)) from None
    return Output(value, str(parts[0]) if parts else None)


def _missing(name: str, why: str) -> StepFailed:
    return StepFailed(
        "output_missing",
        f"The output {name!r} is not there: {why}",
        details={"output": name},
        kind="permanent",
        do="Correct the path in `outputs`, or give it a default",
    )
