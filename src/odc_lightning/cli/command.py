"""Shared parts of all commands: output folder, warnings, error messages, the end of a W&B run."""

import errno
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from odc_lightning.sweeps.jobs import in_multirun, run_job

# Warnings that every run raises and that users cannot act on.
ALWAYS_IRRELEVANT = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "Image size .* exceeds limit of",  # data.max_pixels is the limit
    "It is recommended to use .*sync_dist=True",  # these values are the same on all ranks
)

# Errors of the machine (permissions, full disks), as opposed to bugs of the program.
_MACHINE_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


class OutputFolder(Callback):
    """Checks that the output folder is writable, before Hydra creates it.

    Hydra itself would end with a traceback.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a single run."""
        _refuse_unwritable(Path(config.hydra.run.dir), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a sweep."""
        _refuse_unwritable(Path(config.hydra.sweep.dir), "hydra.sweep.dir")


def _refuse_unwritable(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"a full disk accepts an empty file, but no content")
    except OSError as error:
        sys.exit(
            f"error: cannot write to {folder} ({error.strerror}); choose another folder with "
            f"{option}=..."
        )


def ignore_warnings(messages: Iterable[str]) -> None:
    """Ignore warnings that start with one of these patterns."""
    for message in messages:
        warnings.filterwarnings("ignore", message)


def run_command(task: Callable[[DictConfig], Any], config: DictConfig) -> None:
    """Run a command; invalid input is reported in one line, without a traceback.

    An error in a job of a multirun ends that job only (`odc_lightning.sweeps.jobs`).
    """
    multirun = in_multirun()
    if multirun and "jobs" in (HydraConfig.get().callbacks or {}):  # it reports failed jobs
        return run_job(task, config)
    try:
        task(config)
    except Exception as error:
        if multirun:
            raise
        # Hydra wraps the errors of constructors.
        refusal = (error.__cause__ or error) if isinstance(error, InstantiationException) else error
        if "HYDRA_FULL_ERROR" in os.environ or not _is_refusal(refusal):
            raise
        sys.exit(f"error: {refusal}")


def refuse_ranks_in_multirun(trainer: pl.Trainer) -> None:
    """Refuse several ranks in a multirun.

    Lightning starts the other ranks with the command of the whole sweep. Each rank would then run
    the whole sweep, and processes of different jobs would join the same group.

    Raises:
        ValueError: this is a multirun with more than one rank.
    """
    if in_multirun() and trainer.world_size > 1:
        raise ValueError(
            f"a multirun (-m) with {trainer.world_size} devices; expected one device per job. Add "
            "trainer.devices=1, or start the jobs one after the other without -m"
        )


def finish_wandb(failed: bool) -> None:
    """End the W&B run, if there is one, so that the next job of a multirun starts its own."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the error is meant for the user: raised by this package, or by the machine."""
    if isinstance(error, OSError):
        return error.errno in _MACHINE_ERRORS
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith(("odc_lightning", "__main__"))
