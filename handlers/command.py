"""The slash command `/pao`: one table of sub-commands. Answers are ephemeral."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import Call, listener
from bot.messages import menus, notices
from bot.messages.lists import Query
from engine import Actor, InvalidInput, did_you_mean, quoted
from handlers import approvals, decommission, forms, operations, pages, recovery, services
from handlers.words import Words, known_options, moment_in, split

COMMAND: Final = "/pao"
SCOPES: Final = ("mine", "team", "all")


@dataclass(frozen=True, slots=True)
class SubCommand:
    """One row: what is typed, what it is for, what it does."""

    usage: str
    summary: str
    run: Callable[[Call, Words], Awaitable[None]]
    options: frozenset[str] = frozenset()
    for_admins: bool = False


def register(app: AsyncApp, bot: Services) -> None:
    """Listen to the command."""
    app.command(COMMAND)(listener(bot, on_command))


async def on_command(call: Call) -> None:
    """Find the sub-command and run it; a typo gets "did you mean"."""
    words = split(str(call.body.get("text") or ""))
    found = SUB_COMMANDS.get(words.name)
    if found is None:
        meant = did_you_mean(words.name, _offered(await call.actor()))
        raise InvalidInput(
            f"There is no command {quoted(words.name)}.{meant}",
            do="Write /pao help to see what there is",
        )
    known_options(words, found.options, found.usage)
    await found.run(call, words)


async def _help(call: Call, _: Words) -> None:
    offered = _offered(await call.actor()).values()
    await call.say(*menus.help_menu([(row.usage, row.summary) for row in offered]))


def _offered(actor: Actor) -> dict[str, SubCommand]:
    """Return the rows that are told to a person: those of admins to admins only."""
    return {name: row for name, row in SUB_COMMANDS.items() if actor.is_admin or not row.for_admins}


async def _catalog(call: Call, words: Words) -> None:
    await pages.show(call, Query("catalog", text=words.text, **words.options))


async def _request(call: Call, words: Words) -> None:
    at = moment_in(words.options.get("at"), (await call.actor()).time_zone)
    if words.text is not None:
        await forms.open_meant(call, words.text, at)
    elif at is not None:
        raise InvalidInput("--at needs a name", do="Write: /pao request <item> --at <time>")
    else:
        await forms.open_picker(call)


async def _requests(call: Call, words: Words) -> None:
    scope, text = _scope(words)
    if text:
        raise InvalidInput(
            f"`requests` does not know {quoted(text)}.{did_you_mean(text, SCOPES)}",
            do="Write: /pao requests [mine, team or all] [--status s]",
        )
    await pages.show(call, Query("requests", scope=scope, status=words.options.get("status")))


async def _services(call: Call, words: Words) -> None:
    scope, text = _scope(words)
    await pages.show(call, Query("services", scope=scope, text=text))


async def _status(call: Call, words: Words) -> None:
    await recovery.show_status(call, words.need(0, "a request's id", "status <req-id>"))


async def _service(call: Call, words: Words) -> None:
    instance_id = words.need(0, "a service's id", "service <si-id>")
    await services.show(call, instance_id)


async def _update(call: Call, words: Words) -> None:
    await _operation(call, words, "update")


async def _upgrade(call: Call, words: Words) -> None:
    await _operation(call, words, "upgrade")


async def _operation(call: Call, words: Words, kind: Literal["update", "upgrade"]) -> None:
    instance_id = words.need(0, "a service's id", f"{kind} <si-id> [name]")
    if (name := words.after(1)) is not None:
        await operations.open_form(call, instance_id, kind, name)
    else:
        await operations.open_picker(call, instance_id, kind)


async def _decommission(call: Call, words: Words) -> None:
    instance_id = words.need(0, "a service's id", "decommission <si-id>")
    await decommission.open_form(call, instance_id)


async def _approve(call: Call, words: Words) -> None:
    usage = "approve <req-id> [reason] [--step s]"
    request_id = words.need(0, "a request's id", usage)
    await approvals.approve(call, request_id, words.options.get("step"), words.after(1))


async def _reject(call: Call, words: Words) -> None:
    usage = "reject <req-id> [reason] [--step s]"
    request_id = words.need(0, "a request's id", usage)
    await approvals.reject(call, request_id, words.options.get("step"), words.after(1))


async def _clone(call: Call, words: Words) -> None:
    await forms.open_clone(call, words.need(0, "a request's id", "clone <req-id>"))


async def _retry(call: Call, words: Words) -> None:
    await recovery.retry(
        call, words.need(0, "a request's id", "retry <req-id> [step]"), words.at(1)
    )


async def _resume(call: Call, words: Words) -> None:
    await recovery.resume(call, words.need(0, "a request's id", "resume <req-id>"))


async def _resolve(call: Call, words: Words) -> None:
    request_id = words.need(0, "a request's id", "resolve <req-id> [step]")
    await recovery.open_resolve(call, request_id, words.at(1))


async def _skip(call: Call, words: Words) -> None:
    usage = "skip <req-id> <step> <reason>"
    request_id = words.need(0, "a request's id", usage)
    step = words.need(1, "a step's name", usage)
    reason = words.need(2, "a reason", usage) and words.after(2)
    await recovery.skip(call, request_id, step, reason or "")


async def _abort(call: Call, words: Words) -> None:
    request_id = words.need(0, "a request's id", "abort <req-id> [reason]")
    await recovery.abort(call, request_id, words.after(1))


async def _cancel(call: Call, words: Words) -> None:
    await recovery.cancel(call, words.need(0, "a request's id", "cancel <req-id>"))


async def _logs(call: Call, words: Words) -> None:
    request_id = words.need(0, "a request's id", "logs <req-id> [step]")
    await recovery.show_logs(call, request_id, words.at(1))


async def _sync(call: Call, _: Words) -> None:
    actor = await call.actor()
    report = await call.services.engine.sync_catalog(actor, trigger="command")
    await call.say(notices.synced(report))


async def _stats(call: Call, _: Words) -> None:
    stats = await call.services.engine.catalog_stats(await call.actor())
    await call.say(notices.stats(stats))


async def _audit(call: Call, words: Words) -> None:
    await pages.show(call, Query("audit", text=words.text))


async def _pause(call: Call, _: Words) -> None:
    await call.services.engine.pause(await call.actor())
    await call.say(notices.PAUSED)


async def _unpause(call: Call, _: Words) -> None:
    await call.services.engine.unpause(await call.actor())
    await call.say(notices.UNPAUSED)


def _scope(words: Words) -> tuple[str, str | None]:
    """Return whose things are asked for, and the rest as text."""
    if words.rest and words.rest[0].casefold() in SCOPES:
        return words.rest[0].casefold(), words.after(1)
    return "mine", words.text


SUB_COMMANDS: Final[Mapping[str, SubCommand]] = {
    "help": SubCommand("help", "this menu", _help),
    "catalog": SubCommand(
        "catalog [text] [--category c] [--tag t] [--owner o]",
        "browse and search what can be ordered",
        _catalog,
        frozenset({"category", "tag", "owner"}),
    ),
    "request": SubCommand(
        "request [item or bundle] [--at time]", "order something", _request, frozenset({"at"})
    ),
    "requests": SubCommand(
        "requests [mine, team or all] [--status s]",
        "list requests",
        _requests,
        frozenset({"status"}),
    ),
    "status": SubCommand("status <req-id>", "how a request stands", _status),
    "services": SubCommand("services [mine, team or all] [text]", "list services", _services),
    "service": SubCommand("service <si-id>", "one service, and what can be done", _service),
    "update": SubCommand("update <si-id> [name]", "change a service", _update),
    "upgrade": SubCommand("upgrade <si-id> [name]", "bring a service to a newer version", _upgrade),
    "decommission": SubCommand("decommission <si-id>", "retire a service", _decommission),
    "approve": SubCommand(
        "approve <req-id> [reason] [--step s]", "agree to a request", _approve, frozenset({"step"})
    ),
    "reject": SubCommand(
        "reject <req-id> [reason] [--step s]", "refuse a request", _reject, frozenset({"step"})
    ),
    "clone": SubCommand("clone <req-id>", "order the same again, with changes", _clone),
    "retry": SubCommand("retry <req-id> [step]", "run a failed step again", _retry),
    "resume": SubCommand("resume <req-id>", "go on from the failed steps", _resume),
    "resolve": SubCommand("resolve <req-id> [step]", "say that it was done by hand", _resolve),
    "skip": SubCommand(
        "skip <req-id> <step> <reason>", "go on without a step", _skip, for_admins=True
    ),
    "abort": SubCommand("abort <req-id> [reason]", "give up, and clean up", _abort),
    "cancel": SubCommand("cancel <req-id>", "take back what has not begun", _cancel),
    "logs": SubCommand("logs <req-id> [step]", "what a step said", _logs),
    "sync": SubCommand("sync", "read the catalog anew", _sync, for_admins=True),
    "stats": SubCommand("stats", "the catalog in numbers", _stats, for_admins=True),
    "audit": SubCommand("audit [id]", "who did what", _audit, for_admins=True),
    "pause": SubCommand("pause", "start nothing new", _pause, for_admins=True),
    "unpause": SubCommand("unpause", "start again", _unpause, for_admins=True),
}
