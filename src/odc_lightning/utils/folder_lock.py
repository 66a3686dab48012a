"""A lock on a folder that a command writes to."""

import logging
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock

log = logging.getLogger(__name__)


def lock_folder(folder: Path) -> AcquireReturnProxy | None:
    """Lock a folder for this process.

    The operating system releases the lock when the process ends, even after a kill.

    Returns:
        The lock, held as long as it is referred to; None on a file system without locks.

    Raises:
        filelock.Timeout: another process has the lock.
    """
    try:
        return FileLock(folder / ".lock", is_singleton=True).acquire(blocking=False)
    except TimeoutError:
        raise
    except (OSError, NotImplementedError):
        log.warning("%s cannot be locked: let no other command write to it", folder)
        return None
