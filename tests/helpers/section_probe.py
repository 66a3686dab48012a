"""Sections that run in the processes of `test_entry`; importable by name."""

import os
from collections.abc import Callable, Iterator
from time import sleep

import numpy as np
from benchmarks.tables import Table, Target
from benchmarks.terms import FIXED, terms_table


def measure(quick: bool) -> Iterator[Table | Target]:
    yield Table("Step against N, CPU", ("N", "step (ms)"), [(10, 1.0), (100, 2.0)], "a note")
    yield Target("a ratio", 2.0 if quick else 3.0, 2.5)
    yield terms_table("CPU", {FIXED: float(os.getpid())})


def ten_megabytes() -> Callable[[], int]:
    """Allocated by the work for as long as a look takes, beside as much that is there before."""
    before = np.ones(10 * 2**17)

    def work() -> int:
        after = np.ones(10 * 2**17)
        sleep(0.3)
        return len(before) + len(after)

    return work
