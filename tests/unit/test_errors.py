from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import errors
from engine.errors import Conflict, InvalidInput, PaoError, StepFailed, TemplateError, quoted


def test_an_error_says_what_why_and_what_to_do() -> None:
    error = PaoError("It failed", "the disk is full.", "Make room")
    assert str(error) == "It failed: the disk is full. Make room."


def test_parts_that_are_missing_leave_no_trace() -> None:
    assert str(PaoError("It failed")) == "It failed."
    assert str(PaoError("Did it fail?", do="Look!")) == "Did it fail? Look!"


def family(root: type[PaoError]) -> Iterator[type[PaoError]]:
    for child in root.__subclasses__():
        yield child
        yield from family(child)


@pytest.mark.parametrize(
    "kind",
    [k for k in family(PaoError) if k.__module__ == errors.__name__],
    ids=lambda k: k.__name__,
)
def test_every_error_has_a_word_of_its_own_and_is_drawn(kind: type[PaoError]) -> None:
    assert kind.default_code != PaoError.default_code
    assert "default_code" in vars(kind)
    assert f"── {kind.__name__} " in str(errors.__doc__)


def test_a_wrong_template_is_wrong_input() -> None:
    error = TemplateError("It names nothing", field="fulfillment.steps[0]")
    assert isinstance(error, InvalidInput)
    assert (error.code, error.kind, error.field) == (
        "template_error",
        "permanent",
        "fulfillment.steps[0]",
    )


def test_a_conflict_names_the_request_in_the_way() -> None:
    assert Conflict("Taken", request_id="req-1").request_id == "req-1"


def test_a_failed_step_keeps_what_its_attempt_tells() -> None:
    error = StepFailed(
        "http_error", "503", details={"status": 503}, kind="transient", retry_after=2
    )
    assert (error.error_type, error.message, error.kind) == ("http_error", "503", "transient")
    assert (error.details, error.retry_after) == ({"status": 503}, 2)


def test_somebodys_text_is_repeated_in_quotes_and_in_part() -> None:
    assert quoted("orders") == "'orders'"
    assert quoted("line\nend") == repr("line\nend")
    assert len(quoted("x" * 40_000)) == 62
