"""A worker of one TerraformFile step, as a process of its own, to be killed.

    python -m tests.support.terraform_worker DSN FOLDER JSON

JSON: {modules, terraform_bin, template, request_id}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.steps import Context
from tests.support.terraform import Workbench


@dataclass
class KeptContext(Context):
    """A context whose `external` outlives its process, in a file."""

    kept: Path = Path("external.json")

    async def remember(self, external: Mapping[str, Any]) -> None:
        await super().remember(external)
        self.kept.write_text(json.dumps(self.external))


async def main(dsn: str, folder: str, given: str) -> None:
    told = json.loads(given)
    bench = Workbench(
        dsn, Path(folder), told["modules"], {"terraform_bin": told.get("terraform_bin")}
    )
    context = KeptContext(
        told["template"],
        work_dir=bench.new_folder(),
        request_id=told["request_id"],
        kept=bench.folder / "external.json",
    )
    await bench.step.start(context)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
