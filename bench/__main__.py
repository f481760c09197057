"""Every figure, in one table.

python -m bench [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench import catalog, engine, lifecycle, surfaces
from bench.measure import ROUNDS, Figure, measured, say_errors_only, show
from bench.world import durable_server

FEW_DOCUMENTS = 500


async def everything(*, quick: bool) -> list[Figure]:
    """Measure module by module, each on a server of its own."""
    return [
        *await measured(engine.PARTS, (), engine.QUICK if quick else engine.Sizes()),
        *await measured(lifecycle.PARTS, (), lifecycle.QUICK if quick else lifecycle.Sizes()),
        *await measured(surfaces.PARTS, (), surfaces.QUICK if quick else surfaces.Sizes()),
        *await _of_the_catalog(FEW_DOCUMENTS if quick else catalog.DOCUMENTS),
    ]


async def _of_the_catalog(documents: int) -> list[Figure]:
    with durable_server() as server, tempfile.TemporaryDirectory(prefix="pao-bench-") as folder:
        place = Path(folder)
        (place / "repository").mkdir()
        return await catalog.measured(catalog.Bench(server, place, documents), ROUNDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    given = parser.parse_args()
    say_errors_only()
    show(asyncio.run(everything(quick=given.quick)))
