"""The jobs of a multirun: failed ones are marked, the others continue, a table ends the sweep."""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from odc_lightning.sweeps.devices import VISIBLE, jobs_at_a_time, take_device, visible_devices
from odc_lightning.utils.errors import without_wrapper
from odc_lightning.utils.folder_lock import lock_folder
from odc_lightning.utils.json_file import read_json, write_json
from odc_lightning.utils.text import error_text, printable, printable_lines

FAILED = "failed.txt"
# The file that a job writes last: a training, an evaluation.
RESULTS = ("summary.json", "results.json")
_JOBS = ".jobs"
# The environment variable with the process id of the command, whose child processes run the jobs.
COMMAND = "ODC_LIGHTNING_COMMAND"


class Job(NamedTuple):
    """A job of a multirun.

    Attributes:
        number: in the multirun.
        overrides: its overrides on the command line.
        folder: its output folder.
    """

    number: int
    overrides: list[str]
    folder: Path

    @property
    def state(self) -> str:
        """``finished``, ``failed`` or, without a file of either, ``stopped``."""
        if (self.folder / FAILED).is_file():
            return "failed"
        done = any((self.folder / name).is_file() for name in RESULTS)
        return "finished" if done else "stopped"

    @property
    def message(self) -> str:
        """The first line of the error message; empty unless the job failed."""
        file = self.folder / FAILED
        return file.read_text(encoding="utf-8").partition("\n")[0] if file.is_file() else ""


def in_multirun() -> bool:
    """Whether this run is a job of a multirun (``-m``) or of a search."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def run_job(task: Callable[[DictConfig], Any], config: DictConfig) -> None:
    """Run one job of a multirun; a failure is recorded in its folder and not raised.

    Two processes with the same folder run one after the other: a process of a killed sweep may
    still be running when the sweep is resumed.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    if takes_devices(hydra.launcher, config):
        take_device(Path(hydra.sweep.dir))

    _end_without_command()
    if _in_launchers_process():
        # With joblib's own start method, a DataLoader cannot start workers.
        multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)
    try:
        with lock_of(folder, hydra.job.num):
            (folder / FAILED).unlink(missing_ok=True)
            try:
                task(config)
            except Exception as error:
                reason = mark_failed(folder, error)
                message = error_text(f"job {hydra.job.num}: {reason}")
                print(message, file=sys.stderr, flush=True)
    finally:
        _end_without_command()


def lock_of(folder: Path, number: int) -> AbstractContextManager[Any]:
    """Take the lock of a job's folder; if another process has it, print that once and wait.

    Returns:
        A context manager that releases the lock, see `lock_folder`.
    """
    waiting = f"job {number}: waiting for another process in {printable(folder)}"
    return lock_folder(folder, waiting) or nullcontext()


def _in_launchers_process() -> bool:
    """Whether this is a process of joblib, which runs one job after the other."""
    return multiprocessing.current_process().name != "MainProcess"


def _end_without_command() -> None:
    """End a process of the launcher whose command has died: it would continue, and keep its GPU."""
    if _in_launchers_process() and os.environ.get(COMMAND) != str(os.getppid()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def mark_failed(folder: Path, error: Exception) -> BaseException:
    """Write ``failed.txt``: error message and traceback.

    Returns:
        The error, without Hydra's wrapper around errors of constructors.
    """
    reason = without_wrapper(error)
    trace = "".join(traceback.format_exception(error))
    text = f"{printable_lines(reason)}\n\n{printable_lines(trace)}"
    (folder / FAILED).write_text(text, encoding="utf-8")
    return reason


def takes_devices(launcher: DictConfig, config: DictConfig) -> bool:
    """Whether each process of the launcher reserves a GPU of its own."""
    is_parallel = str(launcher.get("_target_")).endswith(".JoblibLauncher")
    return is_parallel and OmegaConf.select(config, "trainer.accelerator") != "cpu"


def table(jobs: Sequence[Job]) -> str:
    """One line per job: number, state, overrides that not all jobs have, error message."""
    shared = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    lines = []
    for job in jobs:
        different = printable(" ".join(each for each in job.overrides if each not in shared))
        message = f"  ({printable(job.message)})" if job.message else ""
        lines.append(f"{job.number:>4}  {job.state:<9} {different}{message}")
    counts = {state: sum(job.state == state for job in jobs) for state in ("failed", "stopped")}
    rest = "".join(f", {count} {state}" for state, count in counts.items() if count)
    return "\n".join([*lines, f"{len(jobs) - sum(counts.values())} of {len(jobs)} finished{rest}"])


class Jobs(Callback):
    """Records the jobs of a multirun, one file each, since they may run in other processes."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Forget the previous jobs; if each job has a GPU, set how many run at a time."""
        for file in _files(config):
            file.unlink()
        os.environ[COMMAND] = str(os.getpid())
        launcher = config.hydra.launcher
        if takes_devices(launcher, config):
            count = torch.cuda.device_count()
            devices = visible_devices(os.environ, count)
            devices = devices[:count] if count else devices  # CUDA stops at one that does not exist
            try:
                number = jobs_at_a_time(launcher.n_jobs, devices)
            except ValueError as error:
                sys.exit(error_text(error))
            with read_write(config.hydra), open_dict(config.hydra):
                launcher.n_jobs = number
            if devices:  # the launcher's processes choose from these
                os.environ[VISIBLE] = ",".join(devices)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Record the job."""
        hydra = config.hydra
        if hydra.mode is not RunMode.MULTIRUN:
            return
        note = {
            "number": hydra.job.num,
            "overrides": list(hydra.overrides.task),
            "folder": hydra.runtime.output_dir,
        }
        folder = Path(hydra.sweep.dir) / _JOBS
        folder.mkdir(exist_ok=True)
        write_json(folder / f"{hydra.job.num}.json", note)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table; exit with code 1 unless all jobs have finished."""
        notes = [read_json(file) for file in _files(config)]
        jobs = [Job(note["number"], note["overrides"], Path(note["folder"])) for note in notes]
        if not jobs:
            return
        print(f"\n{table(sorted(jobs))}\n{printable(config.hydra.sweep.dir)}/", flush=True)
        if any(job.state != "finished" for job in jobs):
            sys.exit(1)


def _files(config: DictConfig) -> list[Path]:
    return sorted((Path(config.hydra.sweep.dir) / _JOBS).glob("*.json"))
