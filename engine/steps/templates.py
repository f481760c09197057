"""A step's rendered template, read into the shape that its type declares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from engine.durations import parse_duration
from engine.errors import StepFailed

Model = TypeVar("Model", bound=BaseModel)

Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A length of time as documents write it, in seconds."""


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


RenderedText = Annotated[str, BeforeValidator(_as_text)]
"""A text; a number or a boolean that a template rendered to is taken as it would be written."""


class RenderedTemplate(BaseModel):
    """Base of the template models: immutable, and a key that means nothing is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def read_template(model: type[Model], template: Any, what: str = "The step's template") -> Model:
    """Return the template as `model`; StepFailed (permanent) names each key that is wrong.

    Values are not repeated in the message: they may be secrets.
    """
    try:
        return model.model_validate(dict(template))
    except ValidationError as error:
        raise _unusable(what, _findings(error)) from None


def judge_template(
    model: type[BaseModel],
    template: Any,
    what: str = "The step's template",
    *,
    late: Collection[str],
) -> None:
    """Raise as `read_template`; `late` names the keys whose values are known only when the step runs.

    They, and what holds for the template as a whole, are not judged.
    """
    try:
        model.model_validate(dict(template))
    except ValidationError as error:
        known = [
            one
            for one in _findings(error)
            if not late or (one["loc"] and one["loc"][0] not in late)
        ]
        if known:
            raise _unusable(what, known) from None


def _findings(error: ValidationError) -> Sequence[Any]:
    return error.errors(include_url=False, include_input=False, include_context=False)


def _unusable(what: str, found: Sequence[Any]) -> StepFailed:
    problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found]
    return StepFailed(
        "invalid_template",
        f"{what} cannot be used: {'; '.join(problems)}",
        details={"problems": problems},
        kind="permanent",
    )
