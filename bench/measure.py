"""How figures are measured and shown: alternating rounds, medians, one table.

Machines differ and are noisy, so a figure is a ratio to something that runs beside it: A B A B ...,
and the ratio is the median of the rounds' own ratios, since what disturbs one disturbs its
neighbour. Absolute medians are shown too.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

S = TypeVar("S")
Parts = Mapping[str, Callable[[str, S], AsyncIterator["Figure"]]]
"""Parts of a benchmark by name: each yields figures, given a server's DSN and the sizes."""

ROUNDS = 5
"""The fewest rounds that a median is taken of."""

Measurement = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio should be: at least or at most `limit`."""

    limit: float
    at_most: bool = False

    def is_met(self, ratio: float) -> bool:
        return ratio <= self.limit if self.at_most else ratio >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `beside` is empty for a figure that stands alone."""

    name: str
    unit: str
    goal: Goal
    ours: Sequence[float]
    beside: Sequence[float] = ()
    beside_name: str = ""

    @property
    def ratio(self) -> float:
        if not self.beside:
            return statistics.median(self.ours)
        return statistics.median(a / b for a, b in zip(self.ours, self.beside, strict=True))

    def cells(self) -> tuple[str, ...]:
        beside = (
            f"{_short(statistics.median(self.beside))} {self.beside_name}" if self.beside else ""
        )
        return (
            self.name,
            f"{_short(statistics.median(self.ours))} {self.unit}",
            beside,
            _short(self.ratio) if self.beside else "",
            str(self.goal),
            "yes" if self.goal.is_met(self.ratio) else "NO",
        )


async def alternate(
    ours: Measurement, beside: Measurement, rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Measure both in turn, after one round of each that does not count."""
    await ours()
    await beside()
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        found[0].append(await ours())
        found[1].append(await beside())
    return found


def percentile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


async def measured(parts: Parts[S], chosen: Sequence[str], sizes: S) -> list[Figure]:
    """Measure the chosen parts (none: all), one after the other, on one durable server."""
    from bench.world import durable_server  # noqa: PLC0415 (world measures nothing)

    figures: list[Figure] = []
    with durable_server() as admin:
        for name in chosen or parts:
            async for figure in parts[name](admin, sizes):
                print(f"measured: {' | '.join(figure.cells())}", flush=True)
                figures.append(figure)
    return figures


def run_parts(program: str, about: str | None, parts: Parts[S], full: S, quick: S) -> None:
    """Measure what the command line names, and print the table."""
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    given = parser.parse_args()
    say_errors_only()
    show(asyncio.run(measured(parts, given.parts, quick if given.quick else full)))


def say_errors_only() -> None:
    """Let no log line cost time, or stand in the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("procrastinate").setLevel(logging.ERROR)


def show(figures: Sequence[Figure]) -> None:
    """Print the machine and the table."""
    head = ("figure", "ours", "beside", "ratio", "goal", "met")
    lines = [head, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{machine()}\n")
    for number, line in enumerate(lines):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def machine() -> str:
    """Name the machine: processor, cores, memory, system, load."""
    processor = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, load {load:.1f}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
