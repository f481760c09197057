"""From errors to exit codes, in one place: the edge where every command ends.

    0   done
    1   the answer is no: invalid input, not found, refused, failed
    2   wrong usage, or wrong settings
    3   something cannot be reached
    130 interrupted

With `--output json` or `yaml` an error is `{"error": {"code", "message", "field"?, "request_id"?}}`
on standard output, and its message stands on standard error too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import click

from engine.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    PaoError,
    TemplateError,
    Unreachable,
)

DONE, NO, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; no exception leaves."""
    try:
        result = command.main(args=list(arguments), prog_name="pao", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        return _wrong_usage(error, arguments)
    except (click.Abort, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except PaoError as error:
        _tell(_fields(error), arguments)
        return exit_code(error)
    except BrokenPipeError:
        # Who read our output is gone; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO
    except Exception as error:  # noqa: BLE001 - the edge: a person never gets a traceback
        _tell({"code": "internal_error", "message": _unknown(error, arguments)}, arguments)
        return NO
    return result if isinstance(result, int) else DONE


def exit_code(error: PaoError) -> int:
    """Return the exit code that stands for an error."""
    match error:
        case Unreachable():
            return UNREACHABLE
        case ConfigurationError():
            return USAGE
    return NO


def _wrong_usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    hint = f" See `{context.command_path} --help`." if context else ""
    _tell({"code": "usage", "message": f"{message}{hint}"}, arguments)
    return USAGE


def _fields(error: PaoError) -> dict[str, Any]:
    fields: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, (InvalidInput, TemplateError)) and error.field:
        fields["field"] = error.field
    if isinstance(error, Conflict) and error.request_id:
        fields["request_id"] = error.request_id
    return fields


def _tell(error: dict[str, Any], arguments: Sequence[str]) -> None:
    from bot.cli.output import encode, printable

    format = _asked_format(arguments)  # noqa: A001
    if format != "table":
        click.echo(encode({"error": error}, format))
    click.echo(f"Error: {printable(error['message'], lines=True)}", err=True)


def _asked_format(arguments: Sequence[str]) -> str:
    """Read `--output` by hand: an error may come before the options were parsed."""
    format = _asked("--output", arguments)  # noqa: A001
    return format if format in {"json", "yaml"} else "table"


def _asked(option: str, arguments: Sequence[str]) -> str | None:
    """Return the value that an option was given last."""
    found = None
    for word, following in pairwise([*arguments, ""]):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _without_secrets(text: str, arguments: Sequence[str]) -> str:
    """Take the secrets of the settings out; the whole text, where these cannot be read."""
    from pathlib import Path

    from bot import settings
    from engine.redaction import Redactor

    config = _asked("--config", arguments)
    try:
        known = settings.load(
            config=Path(config) if config else None,
            database_url=_asked("--database-url", arguments),
        )
    except Exception as error:  # noqa: BLE001 - what is told is the error before this one
        return f"Left out: the settings, and so their secrets, are not known ({type(error).__name__}).\n"
    return Redactor(known.secret_values()).text(text)


def _unknown(error: Exception, arguments: Sequence[str]) -> str:
    """Keep the traceback in a file of its own, and say where."""
    import tempfile
    import traceback

    trace = _without_secrets("".join(traceback.format_exception(error)), arguments)
    with tempfile.NamedTemporaryFile(
        "w", prefix="pao-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(trace)
    return (
        f"PAO met an error that it does not know: {type(error).__name__}. "
        f"This is a mistake in PAO; please report it with the file {file.name}, "
        "after a look whether anything in it is secret."
    )
