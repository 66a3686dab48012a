"""A lock on a folder that a command writes to."""

import logging
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

log = logging.getLogger(__name__)


def lock_folder(folder: Path, waiting: str | None = None) -> AcquireReturnProxy | None:
    """Lock a folder for this process.

    The operating system releases the lock when the process ends, even after a kill.

    Args:
        folder: to lock.
        waiting: a line to print once, before waiting for another process; None does not wait.

    Returns:
        The lock, held as long as it is referred to; None on a file system without locks.

    Raises:
        filelock.Timeout: another process has the lock, and ``waiting`` is None.
    """
    # A single lock in the process: the jobs of a sweep may have the sweep's own folder.
    lock = FileLock(folder / ".lock", is_singleton=True)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        if waiting is None:
            raise
        print(waiting, flush=True)
        return lock.acquire(poll_interval=1.0)
    except (OSError, NotImplementedError):
        log.warning("%s cannot be locked: let no other command write to it", folder)
        return None
