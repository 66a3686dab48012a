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
# Of this process, until it ends.
_held: list[FileLock] = []


def visible_devices(environ: Mapping[str, str], count: int) -> list[str]:
    """The GPUs that a process may use, by the names that ``CUDA_VISIBLE_DEVICES`` has for them.

    As CUDA reads it: a negative number ends the list, and with a name that is there twice it sees
    no GPU at all.

    Args:
        environ: where that variable may be.
        count: of the machine's GPUs, where the variable does not say.
    """
    named = environ.get(VISIBLE)
    if named is None:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in named.split(",") if name.strip()]
    names = list(takewhile(lambda name: not name.startswith("-"), names))
    return names if len(set(names)) == len(names) else []


def jobs_at_a_time(asked: int, devices: Sequence[str]) -> int:
    """How many jobs run side by side.

    Args:
        asked: ``hydra.launcher.n_jobs``; below 0 the launcher chooses by the number of CPU cores.
        devices: GPUs; none: the jobs are for the CPU.

    Returns:
        What was asked for; below 0 as many as there are GPUs, if there are any.

    Raises:
        ValueError: if there are more jobs than GPUs.
    """
    if not devices:
        return asked
    if asked > len(devices):
        raise ValueError(
            f"hydra.launcher.n_jobs={asked} with {len(devices)} GPU(s): each job has one of its "
            f"own; expected {len(devices)} or less, or trainer.accelerator=cpu"
        )
    return len(devices) if asked < 0 else asked


def take_device(folder: Path, environ: MutableMapping[str, str] = os.environ) -> str | None:
    """Let this process see a GPU that no other process of the sweep sees, now and from now on.

    The launcher's processes do one job after the other, and CUDA looks at the variable once. So it
    is the process that has a GPU, as long as it lives, and not the job. Has to be called before
    CUDA is initialised.

    Args:
        folder: of the sweep; a file there is locked for each GPU that is in use.
        environ: has all of the sweep's GPUs in ``CUDA_VISIBLE_DEVICES``, and gets one. (To count
            them here might initialise CUDA.)

    Returns:
        The GPU; None where there is none, or this process has one already.
    """
    if _held:
        return None
    devices = visible_devices(environ, 0)
    if not devices:
        return None
    told = False
    while True:
        for device in devices:
            file = folder / ".devices" / f"{platform.node()}-{device}.lock"
            lock = FileLock(file, thread_local=False)  # whichever thread took it
            with suppress(Timeout):
                lock.acquire(blocking=False)
                _held.append(lock)
                environ[VISIBLE] = device
                return device
        if not told:
            log.warning("all of %d GPU(s) are in use by this sweep: waiting", len(devices))
            told = True
        time.sleep(0.5)
