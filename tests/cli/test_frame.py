from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import COMMANDS
from bot.cli import pao as root
from bot.cli.errors import run
from bot.cli.output import FORMATS, cell, encode, lines, printable, table
from engine import errors
from tests.support.pao import Pao, command


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be imported"
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_can_be_imported(name: str) -> None:
    assert root.get_command(click.Context(root), name) is not None


def test_every_command_takes_the_shared_options_and_says_what_it_does() -> None:
    for path, leaf in leaves(root):
        options = {option for parameter in leaf.params for option in parameter.opts}
        assert {"--output", "--database-url", "--config"} <= options, path
        assert leaf.help, path


def test_help_imports_nothing_that_is_slow() -> None:
    slow = ("pydantic", "structlog", "psycopg", "slack_sdk", "yaml", "asyncio", "rich")
    script = (
        "import sys; from bot.cli import pao; from bot.cli.errors import run; run(pao, ['--help']);"
        f"sys.exit(' '.join(m for m in {slow!r} if m in sys.modules) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert result.stderr == b""
    assert b"Commands:" in result.stdout


def test_an_unknown_command_is_wrong_usage(pao: Pao) -> None:
    answer = pao("nonsense", "--output", "json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "usage"
    assert "No such command 'nonsense'" in answer.err


def test_a_mistyped_command_gets_a_suggestion(pao: Pao) -> None:
    answer = pao("catlog")
    assert answer.code == 2
    assert "Did you mean 'catalog'?" in answer.err


def test_a_wrong_setting_is_wrong_usage(pao: Pao) -> None:
    answer = pao("config", "show", PAO_HTTP_PORT="x")
    assert (answer.code, answer.out) == (2, "")
    assert "PAO_HTTP_PORT" in answer.err


def test_a_database_out_of_reach_is_3(pao: Pao) -> None:
    answer = pao("db", "status", "--output=json", "--database-url", "postgresql://127.0.0.1:1/x")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "database_unavailable"
    assert "not reachable" in answer.json["error"]["message"]


def test_options_may_stand_before_the_command(pao: Pao) -> None:
    assert pao("--output", "json", "version").json.keys() == {"version"}
    assert yaml.safe_load(pao("--output", "json", "version", "--output", "yaml").out)


def test_an_unknown_variable_is_a_warning_and_for_doctor_an_error(pao: Pao) -> None:
    typo = {"PAO_HTTP_PROT": "1"}
    shown = pao("config", "show", **typo)
    assert shown.code == 0
    assert "Warning: PAO_HTTP_PROT is not a setting." in shown.err
    assert pao("doctor", **typo).code == 2


def test_shown_settings_hide_secrets_and_tell_where_they_come_from(pao: Pao) -> None:
    answer = pao("config", "show", "--output", "json", PAO_GITHUB_TOKEN="s3cret")
    assert "s3cret" not in answer.out + answer.err
    shown = {row["name"]: row for row in answer.json}
    assert shown["github_token"]["source"] == "PAO_GITHUB_TOKEN"


def test_a_reader_that_leaves_early_gets_no_complaint() -> None:
    writer = subprocess.Popen(
        command("config", "reference"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == b""


ERRORS = [
    (errors.InvalidInput("Bad", field="size"), 1, {"code": "invalid_input", "field": "size"}),
    (errors.NotFound("Gone"), 1, {"code": "not_found"}),
    (errors.Forbidden("No"), 1, {"code": "forbidden"}),
    (
        errors.Conflict("Taken", request_id="req-1"),
        1,
        {"code": "conflict", "request_id": "req-1"},
    ),
    (errors.ConfigurationError("Wrong"), 2, {"code": "configuration_error"}),
    (errors.Unreachable("Away"), 3, {"code": "unreachable"}),
    (errors.Unavailable("Away"), 3, {"code": "database_unavailable"}),
    (errors.Conflict("Other", code="own_word"), 1, {"code": "own_word"}),
]


@pytest.mark.parametrize(("error", "code", "fields"), ERRORS, ids=lambda e: str(e)[:30])
def test_an_error_becomes_its_exit_code_and_its_json(
    error: errors.PaoError, code: int, fields: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), ["--output", "json"]) == code
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"error": {**fields, "message": str(error)}}
    assert printed.err == f"Error: {error}\n"


def raising(error: BaseException) -> click.Command:
    @click.command()
    @click.option("--output")
    def failing(output: str | None) -> None:
        raise error

    return failing


def test_a_mistake_of_ours_shows_no_traceback_and_keeps_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(raising(RuntimeError("inside")), []) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    file = printed.err.split("with the file ")[1].split(",")[0]
    kept = Path(file)
    assert "RuntimeError: inside" in kept.read_text()
    kept.unlink()


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_columns_are_aligned_for_wide_letters() -> None:
    rows = [{"a": "日本", "b": 1}, {"a": "x", "b": None}]
    assert table(rows, ["a", "b"]) == "A     B\n日本  1\nx     -"


@given(st.text())
def test_no_text_of_others_steers_the_terminal(text: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e" for c in printable(text))
    assert "\n" not in cell(text)


@pytest.mark.parametrize("format", FORMATS)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text("aä:-# "), st.lists))
def test_what_programs_read_is_what_was_meant(format: str, value: object) -> None:
    read = yaml.safe_load if format == "yaml" else json.loads
    assert read(encode(value, format)) == value


def test_a_mapping_is_told_line_by_line_and_names_stay_as_they_are() -> None:
    record = {"instance_name": "shop", "outputs": {"db": {"port": 1}, "is_up": True, "none": {}}}
    assert lines(record).splitlines() == [
        "instance name  shop",
        "outputs        db.port: 1",
        "               is_up: yes",
        "               none: {}",
    ]
    assert lines({"console_url": "x"}, exact=True) == "console_url  x"
