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
        _tell({"code": "internal_error", "message": _unknown(error)}, arguments)
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
    formats = [
        value
        for option, value in zip(arguments, [*arguments[1:], ""], strict=False)
        if option == "--output"
    ]
    formats += [a.partition("=")[2] for a in arguments if a.startswith("--output=")]
    return formats[-1] if formats and formats[-1] in {"json", "yaml"} else "table"


def _unknown(error: Exception) -> str:
    """Keep the traceback in a file of its own, and say where."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="pao-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    return (
        f"PAO met an error that it does not know: {type(error).__name__}. "
        f"This is a mistake in PAO; please report it with the file {file.name}, "
        "after a look whether anything in it is secret."
    )
