"""Locks between processes, which the system opens again when their owner dies."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path


def try_lock(path: Path) -> TextIOWrapper | None:
    """Lock a file, which is made if need be.

    Returns:
        What holds the lock until it is closed; None if another one has it, be it in this process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def locked(path: Path, waiting: Callable[[], None], every_s: float = 1.0) -> Iterator[None]:
    """Hold the lock of a file; until then wait, and say so once by ``waiting``."""
    lock = try_lock(path)
    if lock is None:
        waiting()
    while lock is None:
        time.sleep(every_s)
        lock = try_lock(path)
    with lock:
        yield
