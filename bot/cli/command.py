"""What all commands share: three options, the settings, logs, the engine.

A command's module uses `command` and `group` instead of click's own decorators and takes an
`Invocation` first:

    @command("list")
    @click.option("--kind")
    def list_(invocation: Invocation, kind: str | None) -> None: ...

An `async def` is run to its end in an event loop of its own. A command returns None or its exit
code, and raises the errors of `engine.errors`; `bot.cli.errors` does the rest.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import click

from bot.cli.output import FORMATS, Output

if TYPE_CHECKING:
    from bot.database import Database
    from bot.settings import Settings
    from engine import Engine


@dataclass(slots=True)
class Invocation:
    """One call of `pao`: its options, and what is made from them when it is needed."""

    output: Output = field(default_factory=Output)
    database_url: str | None = None
    config: str | None = None
    _settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The settings, read once; unknown variables are told of on stderr."""
        if self._settings is None:
            from pathlib import Path

            from bot import settings

            config = Path(self.config) if self.config else None
            self._settings = settings.load(config=config, database_url=self.database_url)
            for sentence in settings.unknown_variables():
                self.output.note(f"Warning: {sentence}")
        return self._settings

    def strict_settings(self) -> Settings:
        """The settings for what runs long, and doctor: an unknown variable is an error."""
        from bot import settings
        from engine.errors import ConfigurationError

        told = settings.unknown_variables()
        if told:
            raise ConfigurationError(
                "The environment has a mistake", " ".join(told), code="unknown_key"
            )
        return self.settings

    def log(self, level: str = "WARNING") -> None:
        """Send logs to stderr in the format of the settings, without secrets."""
        from bot.logs import configure

        configure(self.settings, level)

    @property
    def database(self) -> Database:
        """The database of the settings: one of one's own, or the embedded one."""
        from bot.database import Database

        self.log()
        return Database(self.settings)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """Give the engine on a database that is up and migrated."""
        from engine import Engine

        config = self.settings.engine_config(*await self.database.ready())
        async with Engine(config) as engine:
            yield engine


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    `commands` maps a name to the module that has a click command of that name, and to the line
    that help shows for it.
    """

    def __init__(self, name: str, *, commands: Mapping[str, tuple[str, str]], help: str) -> None:  # noqa: A002
        super().__init__(name, help=help, params=_shared_options())
        self.callback = _remember
        self._lazy = commands

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; click looks for what was meant only among commands it has imported."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] in self._lazy or args[0].startswith("-"):
                raise
            from engine.catalog.suggest import did_you_mean
            from engine.errors import quoted

            meant = did_you_mean(args[0], self._lazy)
            raise click.UsageError(f"No such command {quoted(args[0])}.{meant}", ctx) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the table."""
        return list(self._lazy)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import the command's module and return its command."""
        if cmd_name not in self._lazy:
            return None
        module = importlib.import_module(self._lazy[cmd_name][0])
        return cast(click.Command, getattr(module, cmd_name))

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self._lazy.items()])


def command(
    name: str | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function that takes the Invocation first."""

    def make(function: Callable[..., Any]) -> click.Command:
        decorate = click.command(name, cls=click.Command, **attributes)
        return decorate(_invoked(function))

    return make


class Group(click.Group):
    """A group of commands; its own `@group.command("name")` is like `command`."""

    def command(  # type: ignore[override]  # click's also takes a bare function; ours never
        self, name: str, **attributes: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Like `command` of this module, and added to the group."""

        def add(function: Callable[..., Any]) -> click.Command:
            made = command(name, **attributes)(function)
            self.add_command(made)
            return made

        return add


def group(name: str, help: str) -> Group:  # noqa: A002
    """Make a group."""
    return Group(name, help=help, params=_shared_options(), callback=_remember)


def group_with_answer(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Make a group of a function that answers where no command of the group is named."""

    def make(function: Callable[..., Any]) -> Group:
        answer = _invoked(function)

        @functools.wraps(answer)
        def answer_or_go_on(**options: Any) -> Any:
            if click.get_current_context().invoked_subcommand is None:
                return answer(**options)
            return _remember(**{name: options[name] for name in _SHARED})

        decorate = click.command(name, cls=Group, invoke_without_command=True, **attributes)
        return decorate(answer_or_go_on)

    return make


def _invoked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a command's function: shared options in, Invocation out, logs away from stdout."""

    @functools.wraps(function)
    def invoked(**options: Any) -> Any:
        invocation = _remember(**{name: options.pop(name) for name in _SHARED})
        import asyncio

        from engine import telemetry

        telemetry.configure(level="WARNING")
        result = function(invocation, **options)
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    own = getattr(function, "__click_params__", [])
    invoked.__click_params__ = [*reversed(_shared_options()), *own]  # type: ignore[attr-defined]
    return invoked


_SHARED = ("output", "database_url", "config")


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(["--output"], type=click.Choice(FORMATS), help="How to print the answer."),
        click.Option(["--database-url"], metavar="DSN", help="PostgreSQL to use."),
        click.Option(
            ["--config"],
            type=click.Path(dir_okay=False),
            help="Configuration file.",
        ),
    ]


def _remember(**options: Any) -> Invocation:
    """Take the shared options at whatever level they were given; the innermost wins."""
    context = click.get_current_context()
    invocation: Invocation = context.find_root().ensure_object(Invocation)
    if options["output"]:
        invocation.output = Output(options["output"])
    invocation.database_url = options["database_url"] or invocation.database_url
    invocation.config = options["config"] or invocation.config
    return invocation
