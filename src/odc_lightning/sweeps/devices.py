"""One GPU for each process of a sweep that runs several jobs at a time (``joblib``)."""

import logging
import os
import platform
import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Locks of this process, held until it ends.
_held: list[FileLock] = []


def visible_devices(environ: Mapping[str, str], count: int) -> list[str]:
    """The GPUs that a process may use, by their names in ``CUDA_VISIBLE_DEVICES``.

    The variable is read as CUDA reads it: a negative number ends the list, and with a repeated
    name no GPU is visible.

    Args:
        environ: the environment variables.
        count: the number of GPUs in the machine, used if the variable is not set.
    """
    named = environ.get(VISIBLE)
    if named is None:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in named.split(",") if name.strip()]
    names = list(takewhile(lambda name: not name.startswith("-"), names))
    return names if len(set(names)) == len(names) else []


def jobs_at_a_time(asked: int, devices: Sequence[str]) -> int:
    """The number of jobs to run at the same time.

    Args:
        asked: ``hydra.launcher.n_jobs``; below 0 the launcher chooses by the number of CPU cores.
        devices: the GPUs; empty if the jobs run on the CPU.

    Returns:
        ``asked``; if it is below 0 and there are GPUs, the number of GPUs.

    Raises:
        ValueError: there are more jobs than GPUs.
    """
    if not devices:
        return asked
    if asked > len(devices):
        raise ValueError(
            f"hydra.launcher.n_jobs={asked} with {len(devices)} GPU(s), but each job needs a GPU "
            f"of its own; expected {len(devices)} or less, or trainer.accelerator=cpu"
        )
    return len(devices) if asked < 0 else asked


def take_device(folder: Path, environ: MutableMapping[str, str] = os.environ) -> str | None:
    """Reserve a GPU for this process, which no other process of the sweep uses.

    A process of the launcher runs one job after the other, and CUDA reads the variable once.
    Therefore the process, not the job, keeps the GPU as long as it lives. Call this before CUDA is
    initialised.

    Args:
        folder: of the sweep; a file in it is locked for each GPU in use.
        environ: has all GPUs of the sweep in ``CUDA_VISIBLE_DEVICES``, and only the reserved one
            afterwards. (Counting the GPUs here could initialise CUDA.)

    Returns:
        The GPU; None if there is none, or if this process already has one.
    """
    if _held:
        return None
    devices = visible_devices(environ, 0)
    if not devices:
        return None
    is_logged = False
    while True:
        for device in devices:
            file = folder / ".devices" / f"{platform.node()}-{device}.lock"
            lock = FileLock(file, thread_local=False)  # held by the process, not by a thread
            with suppress(Timeout):
                lock.acquire(blocking=False)
                _held.append(lock)
                environ[VISIBLE] = device
                return device
        if not is_logged:
            log.warning("all of %d GPU(s) are in use by this sweep: waiting", len(devices))
            is_logged = True
        time.sleep(0.5)
