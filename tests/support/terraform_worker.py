"""A worker of one TerraformFile step, as a process of its own, to be killed.

    python -m tests.support.terraform_worker DSN FOLDER JSON

JSON: {modules, terraform_bin, template, request_id}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.support.terraform import Workbench


async def main(dsn: str, folder: str, given: str) -> None:
    told = json.loads(given)
    bench = Workbench(
        dsn, Path(folder), told["modules"], {"terraform_bin": told.get("terraform_bin")}
    )
    context = bench.context(told["template"], request_id=told["request_id"])
    await bench.step.start(context)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
