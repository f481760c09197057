from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from engine import telemetry


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_have_one_shape() -> None:
    stream = io.StringIO()
    telemetry.configure("json", stream=stream)
    with structlog.contextvars.bound_contextvars(request_id="req-1"):
        structlog.get_logger("ours").info("step_started", step_id=7)
        logging.getLogger("theirs").warning("it is %s", "late")
    ours, theirs = lines(stream)
    assert (ours["event"], ours["step_id"], ours["level"]) == ("step_started", 7, "info")
    assert (theirs["event"], theirs["logger"]) == ("it is late", "theirs")
    assert ours["request_id"] == theirs["request_id"] == "req-1"
    assert ours["timestamp"]


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_secret_is_redacted_wherever_it_stands(format: telemetry.Format) -> None:
    stream = io.StringIO()
    telemetry.configure(format, stream=stream, redact=lambda text: text.replace("hunter2", "***"))
    log = structlog.get_logger()
    try:
        raise ValueError("hunter2 in a traceback")
    except ValueError:
        log.exception("failed", url="https://u:hunter2@host")
        logging.getLogger("theirs").exception("hunter2")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 4


def test_payloads_of_slacks_libraries_are_not_logged() -> None:
    stream = io.StringIO()
    telemetry.configure("json", "DEBUG", stream=stream)
    logging.getLogger("slack_bolt.AsyncApp").debug("a payload")
    logging.getLogger("slack_bolt.AsyncApp").error("an error")
    assert [line["event"] for line in lines(stream)] == ["an error"]


def test_without_a_terminal_lines_are_json() -> None:
    stream = io.StringIO()
    telemetry.configure(stream=stream)
    structlog.get_logger().warning("word")
    assert lines(stream)[0]["event"] == "word"
