"""docs/command-line.md: every command with its options, printed from the commands themselves.

    python -m bot.cli.reference > docs/command-line.md

A test holds the page to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from bot.cli import pao

HEAD = """\
# The command line

Printed by `python -m bot.cli.reference`; a test holds this page to it. `pao COMMAND --help` says the
same. What stands here is stable: names, options, the keys of JSON and exit codes do not change
within a major version.

**Every command takes** `--output table|json|yaml`, `--database-url DSN` and `--config FILE`, before
or after its name. With `json` or `yaml` the data stands alone on stdout; what is said to a person
stands on stderr.

**Exit codes:** 0 done; 1 the answer is no (invalid, not found, refused, failed); 2 wrong usage or
wrong settings; 3 something cannot be reached; 130 interrupted.

**Errors** with `--output json`: `{"error": {"code", "message", "field"?, "request_id"?}}` on stdout,
and the message on stderr too.

**Ids** may be shortened to what is unique. **Who acts:** without `--as` the operator of the machine,
with all rights; with `--as USER` exactly that person's rights. Both stand in the audit log.

**Parameters:** `--param k=v` is read by the field's type, `k=@file` reads a file, `k=-` stdin; lists
repeat the option or use commas. A secret is taken from a file or stdin only. `--params FILE` takes
YAML or JSON, `-` is stdin; `--param` wins.

**A dry run** (`--dry-run`) answers 0 where the request would be taken, and changes nothing. Each of its
steps has `rehearsal`: `runs` (null: known only then), `template` (rendered as far as it is known,
secrets as dots), `plan` (Terraform's `{add, change, destroy}`), `problem` (why the step would fail),
`note` (why there is no plan) and `waits_for` (the names that are known when it runs). Beside the
steps, `rehearsal` of the whole has `rollback` (the steps that would run after a failure, each like
the others), `tickets` (what work by hand would be asked for with) and `checks` (those before the
steps that have a template): `name`, `component`, `template`, `problem`, `waits_for`. A create is
planned on an empty state, everything else on the service's own, without its lock. Ids in it are
those of a request that is not made.

**Confirmation** is asked on a terminal only; `--yes` skips it.
"""


def reference() -> str:
    """Return the page."""
    context = click.Context(pao, info_name="pao")
    return "\n".join([HEAD, *(_section(name, context) for name in pao.list_commands(context))])


def _section(name: str, parent: click.Context) -> str:
    command = pao.get_command(parent, name)
    if command is None:
        raise LookupError(name)
    path = f"pao {name}"
    if not isinstance(command, click.Group):
        return _entry("##", path, command)
    return "\n".join([f"## {path}\n", *(_entry("###", *one) for one in _walk(command, path))])


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the command and all below it; a group only where it does something by itself."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    for name, below in command.commands.items():
        yield from _walk(below, f"{path} {name}")


def _entry(level: str, path: str, command: click.Command) -> str:
    own = [one for one in command.params if one.name not in _SHARED]
    arguments = [
        one.make_metavar(click.Context(command)) for one in own if isinstance(one, click.Argument)
    ]
    usage = " ".join([path, *arguments])
    options = [_option(one) for one in own if isinstance(one, click.Option)]
    lines = [f"{level} {usage}", "", " ".join((command.help or "").split()), ""]
    return "\n".join([*lines, *options, *([""] if options else [])])


_SHARED = {"output", "database_url", "config"}


def _option(option: click.Option) -> str:
    record = option.get_help_record(click.Context(click.Command("pao")))
    names, about = record or (", ".join(option.opts), "")
    told = " ".join(about.split())
    return f"- `{names.replace('INTEGER RANGE', 'N')}`" + (f": {told}" if told else "")


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - a page for a file
