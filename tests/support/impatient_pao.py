"""`pao` that waits for a lost database for a second, where the real one waits for five minutes.

    python -m tests.support.impatient_pao worker

There is no setting for it: whoever runs it has no reason to choose. Everything else is the program.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.cli import pao
from bot.cli.errors import run
from bot.settings import Settings
from engine import EngineConfig

PATIENCE = timedelta(seconds=1)

_patient = Settings.engine_config


def _impatient(self: Settings, *arguments: Any) -> EngineConfig:
    return replace(_patient(self, *arguments), database_outage=PATIENCE)


if __name__ == "__main__":
    Settings.engine_config = _impatient  # type: ignore[method-assign]
    sys.exit(run(pao, sys.argv[1:]))
