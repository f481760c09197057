"""The installed `pao` on the test's own database, called without holding up the test's event loop."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.encryption import KEY
from tests.support.pao import COMMAND_SECONDS, Answer, Pao, command


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Calls `pao`; `json` insists on success and gives the data."""

    pao: Pao

    async def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Answer:
        return await asyncio.to_thread(self.pao, *arguments, stdin=stdin, **environment)

    async def json(self, *arguments: str, code: int = 0, **options: str) -> Any:
        answer = await self(*arguments, "--output", "json", **options)
        assert answer.code == code, answer.err
        return answer.json

    async def error(self, *arguments: str, **options: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (await self.json(*arguments, code=1, **options))["error"]
        return found

    async def at_a_terminal(self, typed: str, *arguments: str) -> Answer:
        """Run a command whose standard input is a terminal at which somebody types `typed`."""
        return await asyncio.to_thread(self._at_a_terminal, typed, *arguments)

    def _at_a_terminal(self, typed: str, *arguments: str) -> Answer:
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{typed}\n".encode())
            done = subprocess.run(
                command(*arguments),
                env=self.pao._environment({}),
                stdin=theirs,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)
        return Answer(done.returncode, done.stdout, done.stderr)


def on_database(pao: Pao, dsn: str) -> CommandLine:
    """Return the command line on a database, with a key for secrets."""
    settings = {
        "PAO_DATABASE_URL": dsn,
        "PAO_ENCRYPTION_KEYS": KEY,
        "PAO_OUTBOUND_ALLOW": "127.0.0.1",
    }
    return CommandLine(Pao(pao.data_dir, settings))
