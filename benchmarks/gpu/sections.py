"""The sections of ``python -m benchmarks.gpu``, and what runs one in its own process."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.gpu.rows import Row


class Section(NamedTuple):
    """A module with ``measure(dry_run: bool) -> Iterator[Row]``.

    Attributes:
        module: its name.
        seconds: its time limit.
        alone: whether no other section may run beside it, because it takes times.
    """

    module: str
    seconds: int
    alone: bool = False


# In the order of the run: what is timed first, so that a cut-off run has it.
SECTIONS = {
    "facts": Section("benchmarks.gpu.facts", 40, alone=True),
    "memory": Section("benchmarks.gpu.memory", 60, alone=True),
    "speed": Section("benchmarks.gpu.speed", 170, alone=True),
    "sizes": Section("benchmarks.gpu.sizes", 100, alone=True),
    "trainings": Section("benchmarks.gpu.trainings", 150),
    "nccl": Section("benchmarks.gpu.nccl", 110),
    "ranks": Section("benchmarks.gpu.ranks", 110),
    "compiled": Section("benchmarks.gpu.compiled", 150),
    "resume": Section("benchmarks.gpu.resume", 90),
    "waits": Section("benchmarks.gpu.waits", 60),
    "evaluation": Section("benchmarks.gpu.evaluation", 80),
    "tests": Section("benchmarks.gpu.tests", 100),
}


def measured(module: str, dry_run: bool, log: Path) -> Iterator[Row]:
    """The rows of a section, whose output goes to a file.

    It begins a session, so that the processes which it starts can be ended with it.
    """
    os.setsid()
    with log.open("w", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    try:
        yield from importlib.import_module(module).measure(dry_run)
    finally:
        sys.stdout.flush()
