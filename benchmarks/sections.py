"""The sections of ``python -m benchmarks``, and the code that runs one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks.processes import apart
from benchmarks.tables import Table, Target

# Name -> module with ``measure(quick: bool) -> Iterator[Table | Target]``, in the order of the run.
SECTIONS = {
    "step": "benchmarks.step",
    "epoch": "benchmarks.epoch",
    "pipeline": "benchmarks.pipeline",
    "photos": "benchmarks.photos",
    "memory": "benchmarks.memory",
    "kmeans": "benchmarks.kmeans",
    "ranks": "benchmarks.ranks",
    "peak": "benchmarks.peak",
}


@dataclass
class Section:
    """The results of a section so far, and its error if it failed."""

    name: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    failure: str | None = None
    seconds: float = 0.0


def measured(module: str, quick: bool) -> Iterator[Table | Target]:
    """The tables and targets of a section; runs in its own process."""
    yield from importlib.import_module(module).measure(quick)


def run(name: str, quick: bool) -> Section:
    """Run a section in its own process and report its progress."""
    section, start = Section(name), perf_counter()
    print(f"{name} ...", file=sys.stderr, flush=True)
    try:
        for item in apart(measured, SECTIONS[name], quick):
            if isinstance(item, Table):
                section.tables.append(item)
                print(f"  {item.title}", file=sys.stderr, flush=True)
            else:
                section.targets.append(item)
    except RuntimeError as error:
        section.failure = str(error)
        print(f"{name} failed: {error}", file=sys.stderr, flush=True)
    section.seconds = perf_counter() - start
    return section
