"""What a person waits for: a form, a template, an acknowledgement, a command, the demo.

python -m bench.surfaces [--quick] [form] [templates] [acknowledgement] [help] [demo]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bench.catalog import Repository
from bench.measure import Figure, Goal, alternate, percentile, run_parts
from bench.world import new_database
from bot.forms.form import form_of, untouched
from bot.forms.meta import Meta
from bot.forms.pages import draw
from bot.manifest import manifest
from bot.playground.installation import Installation
from engine.collector import spare_what_lives
from engine.templates import check_template, render
from tests.support.forms import ADA, details
from tests.support.pao import Pao, command
from tests.support.running_bot import running_bot
from tests.support.slack_twin import SlackTwin

FIELDS = 60
TEXTS = 30
PEOPLE = 50
USERS = ("alice", "bob", "carol")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    drawings: int = 200
    renderings: int = 50
    bursts: int = 8
    starts: int = 3


QUICK = Sizes(drawings=50, renderings=10, bursts=2, starts=1)


async def form(_: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """A form of sixty fields as a view, beside the same view as literals."""
    fields = [{"name": f"field_{n}", "type": "string"} for n in range(FIELDS)]
    asked = form_of(details({"fields": fields}), ADA)
    meta = Meta(asked.kind, asked.name, asked.content_hash, "C0OPS", 0)
    filled = untouched(asked, ADA)
    assert draw(asked, filled, meta) == _plain_form()
    found = await alternate(
        _microseconds(lambda: draw(asked, filled, meta), sizes.drawings),
        _microseconds(_plain_form, sizes.drawings),
    )
    yield Figure(
        f"a form of {FIELDS} fields to a view", "us", Goal(2, at_most=True), *found, "plain dicts"
    )


async def templates(_: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Thirty texts rendered from kept templates, beside compiling them each time."""
    texts = [f"{{{{ name }}}}-{n}-{{{{ size if size else 'small' }}}}" for n in range(TEXTS)]
    scope = {"name": "orders", "size": "large"}

    def anew() -> None:
        check_template.cache_clear()
        render(texts, scope)

    kept, compiled = await alternate(
        _microseconds(lambda: render(texts, scope), sizes.renderings),
        _microseconds(anew, sizes.renderings),
    )
    yield Figure(
        f"a template of {TEXTS} strings, kept",
        "/s",
        Goal(30),
        [1e6 / one for one in kept],
        [1e6 / one for one in compiled],
        "compiled each time",
    )


async def acknowledgement(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Fifty commands at once to the whole bot, beside an app that acknowledges and does nothing."""
    dsn = await new_database(admin)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pao-bench-")))
        (folder / "repository").mkdir()
        url = Repository(folder / "repository", 20).folder.as_uri()
        bot = await stack.enter_async_context(running_bot(dsn, url, folder / "data"))
        bare = await stack.enter_async_context(
            SlackTwin(installation=Installation.from_manifest(manifest()))
        )
        await stack.enter_async_context(bare.connected(_bare_app(bare)))
        spare_what_lives()  # as `pao run` does, once all is started

        async def ours() -> float:
            p99 = await _p99(bot.twin, sizes.bursts)
            await bot.settled()
            return p99

        found = await alternate(ours, lambda: _p99(bare, sizes.bursts))
    name = f"acknowledgement, {PEOPLE} people at once, p99"
    yield Figure(name, "ms", Goal(1.3, at_most=True), *found, "bare Bolt app")
    yield Figure("  the same, by itself", "ms", Goal(300, at_most=True), found[0])


async def help_(_: str, _sizes: Sizes) -> AsyncIterator[Figure]:
    """`pao --help`, beside an interpreter that does nothing."""
    found = await alternate(
        lambda: _process(command("--help")), lambda: _process([sys.executable, "-c", "pass"])
    )
    yield Figure("pao --help", "ms", Goal(10, at_most=True), *found, "python -c pass")


async def demo(_: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """The demo on a data directory that has been used, from the command to its address."""
    with tempfile.TemporaryDirectory(prefix="pao-bench-demo-") as folder:
        pao = Pao(Path(folder))
        await asyncio.to_thread(_start_demo, pao)
        taken = [await asyncio.to_thread(_start_demo, pao) for _ in range(sizes.starts)]
    yield Figure("demo ready on a second start", "s", Goal(4, at_most=True), taken)


PARTS: dict[str, Callable[[str, Sizes], AsyncIterator[Figure]]] = {
    "form": form,
    "templates": templates,
    "acknowledgement": acknowledgement,
    "help": help_,
    "demo": demo,
}


def _microseconds(work: Callable[[], object], times: int) -> Callable[[], Any]:
    async def measure() -> float:
        began = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - began) / times * 1e6

    return measure


def _plain_form() -> dict[str, Any]:
    marks = {
        "kind": "CatalogItem",
        "name": "postgres-database",
        "content_hash": "hash-1",
        "channel": "C0OPS",
        "purpose": "request",
        "count": 1,
    }
    return {
        "type": "modal",
        "callback_id": "request_form",
        "title": {"type": "plain_text", "text": "PostgreSQL database"},
        "submit": {"type": "plain_text", "text": "Submit"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "notify_on_close": True,
        "private_metadata": json.dumps(marks, separators=(",", ":")),
        "blocks": [
            *_plain_head(),
            *(
                {
                    "type": "input",
                    "block_id": f"field:field_{n}",
                    "optional": True,
                    "label": {"type": "plain_text", "text": f"Field {n}"},
                    "element": {"type": "plain_text_input", "action_id": "field"},
                }
                for n in range(FIELDS)
            ),
        ],
    }


def _plain_head() -> list[dict[str, Any]]:
    return [
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": "A database", "verbatim": True}],
        },
        {
            "type": "input",
            "block_id": "instance_name",
            "optional": True,
            "label": {"type": "plain_text", "text": "Instance name"},
            "hint": {
                "type": "plain_text",
                "text": "What this PostgreSQL database is called from now on."
                " Left empty, it gets a name and a number.",
            },
            "element": {"type": "plain_text_input", "action_id": "field", "max_length": 255},
        },
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": "For team *platform*", "verbatim": True}],
        },
    ]


def _bare_app(twin: SlackTwin) -> AsyncApp:
    app = AsyncApp(client=twin.client())

    @app.command("/pao")
    async def acknowledge(ack: Callable[[], Any]) -> None:
        await ack()

    return app


async def _p99(twin: SlackTwin, bursts: int) -> float:
    taken: list[float] = []

    async def ask(user: str) -> None:
        began = time.perf_counter()
        await twin.command(user, "general", "/pao catalog")
        taken.append((time.perf_counter() - began) * 1000)

    for _ in range(bursts):
        await asyncio.gather(*(ask(USERS[n % len(USERS)]) for n in range(PEOPLE)))
    return percentile(taken, 0.99)


async def _process(words: list[str]) -> float:
    def run() -> float:
        began = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        return (time.perf_counter() - began) * 1000

    return await asyncio.to_thread(run)


def _start_demo(pao: Pao) -> float:
    began = time.perf_counter()
    with pao.demo():
        return time.perf_counter() - began


if __name__ == "__main__":
    run_parts("bench.surfaces", __doc__, PARTS, Sizes(), QUICK)
