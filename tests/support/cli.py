"""`pao` as people start it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAO = (sys.executable, "-c", "from bot.cli import main; main()")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def pao(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
    timeout: float = 120,
) -> Answer:
    """Run a command to its end; the environment has no setting but those of `env`."""
    result = subprocess.run(
        [*PAO, *arguments],
        input=stdin,
        env=environment(env or {}),
        cwd=cwd or ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Answer(result.returncode, result.stdout, result.stderr)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with no other setting of PAO than `settings`."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PAO_", "SLACK_"))}
    return ours | {"PYTHONPATH": str(ROOT)} | dict(settings)
