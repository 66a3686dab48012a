"""Peak memory of a piece of work, measured in its own process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processes import apart

SECONDS_BETWEEN_LOOKS = 0.005


class Peak(NamedTuple):
    """The peak in bytes above the amount before the work, and the work's result."""

    peak: int
    result: Any


def peak_of(prepare: Callable[..., Callable[[], Any]], *arguments: Any) -> Peak:
    """Prepare and run some work in a new process, and measure the work.

    Args:
        prepare: importable by name; allocates memory that does not count, and returns the work.
            The work's result goes through a pipe, so it must not have tensors.
        arguments: of ``prepare``.

    Raises:
        RuntimeError: either of them fails.
    """
    (found,) = apart(_watched, prepare, arguments)
    return found


def own_memory() -> int:
    """Bytes of this process that are not backed by files (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


def _watched(
    prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]
) -> Iterator[Peak]:
    work = prepare(*arguments)
    before, peak, done = own_memory(), 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            peak = max(peak, own_memory() - before)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        result = work()
    finally:
        done.set()
        watcher.join()
    yield Peak(peak, result)
