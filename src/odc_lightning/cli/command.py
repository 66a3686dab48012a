"""What the command lines share: their folder, settings, short refusals, the end of a W&B run."""

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

# Said of every run, and nothing that its user could act on.
ALWAYS_IRRELEVANT = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "It is recommended to use .*sync_dist=True",  # these values are the same on all ranks
)

# What the machine refuses, and no mistake of the program.
_OF_THE_MACHINE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


class OutputFolder(Callback):
    """Looks, before Hydra makes the folder of a run, whether anything can be written there.

    Hydra would end in a traceback.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Of a single run."""
        _refuse_unwritable(Path(config.hydra.run.dir), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Of a sweep."""
        _refuse_unwritable(Path(config.hydra.sweep.dir), "hydra.sweep.dir")


def _refuse_unwritable(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"a full disk takes the file, and not what is in it")
    except OSError as error:
        sys.exit(
            f"error: nothing can be written to {folder} ({error.strerror}); choose another folder "
            f"with {option}=..."
        )


def ignore_warnings(messages: Iterable[str]) -> None:
    """Pass over warnings that begin with one of these patterns."""
    for message in messages:
        warnings.filterwarnings("ignore", message)


def run_command(task: Callable[[DictConfig], Any], config: DictConfig) -> None:
    """Do what a command is for; input that the package refuses is told without a traceback.

    What a job of a multirun raises stays with that job (`odc_lightning.sweeps.jobs`).
    """
    multirun = in_multirun()
    if multirun and "jobs" in (HydraConfig.get().callbacks or {}):  # whoever closes a sweep
        return run_job(task, config)
    try:
        task(config)
    except Exception as error:
        if multirun:
            raise
        # Hydra wraps what a constructor raises.
        refusal = (error.__cause__ or error) if isinstance(error, InstantiationException) else error
        if "HYDRA_FULL_ERROR" in os.environ or not _is_refusal(refusal):
            raise
        sys.exit(f"error: {refusal}")


def refuse_ranks_in_multirun(trainer: pl.Trainer) -> None:
    """Raise a ValueError for several ranks in a multirun.

    Lightning starts the other ranks with the command of the whole sweep, so each would sweep by
    itself, and the processes of one job would meet those of another.
    """
    if in_multirun() and trainer.world_size > 1:
        raise ValueError(
            f"a multirun (-m) with {trainer.world_size} devices: expected one device a job. Add "
            "trainer.devices=1, or start the jobs one after the other without -m"
        )


def finish_wandb(failed: bool) -> None:
    """End the W&B run if there is one, so that the next job of a multirun starts its own."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the error is for the user: of this package's own raising, or the machine's."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_MACHINE
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith(("odc_lightning", "__main__"))
