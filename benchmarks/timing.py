"""Comparable times: steps take turns, so that the load of the machine affects all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch

Step = Callable[[], Any]


def in_turns(
    steps: Sequence[Step],
    repeats: int,
    prepare: Callable[[int], Any] = lambda repeat: None,
    iterations: int = 1,
) -> list[float]:
    """Median seconds of each step.

    Args:
        steps: called one after the other in each repeat; the first one rotates.
        repeats: timed repeats; one more warms up before them.
        prepare: called with the number of the repeat before it, and not timed.
        iterations: in one call of a step; times are of one iteration.
    """
    times: list[list[float]] = [[] for _ in steps]
    for repeat in range(repeats + 1):
        prepare(repeat)
        for turn in range(len(steps)):
            which = (repeat + turn) % len(steps)
            wait()
            start = perf_counter()
            steps[which]()
            wait()
            if repeat > 0:
                times[which].append((perf_counter() - start) / iterations)
    return [statistics.median(each) for each in times]


def wait() -> None:
    """Wait until the GPU, if there is one, has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
