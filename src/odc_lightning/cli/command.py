"""Shared parts of all commands: warnings, error messages, the end of a W&B run."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from odc_lightning.cli.output_folder import refuse_other_output
from odc_lightning.cli.refusals import refusal
from odc_lightning.sweeps.jobs import in_multirun, run_job
from odc_lightning.utils.text import error_text

# Warnings that every run raises and that users cannot act on.
ALWAYS_IRRELEVANT = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "Image size .* exceeds limit of",  # data.max_pixels is the limit
    "It is recommended to use .*sync_dist=True",  # these values are the same on all ranks
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
        return run_job(partial(_run_checked, task), config)
    try:
        task(config)
    except Exception as error:
        if multirun:
            raise
        message = refusal(error)
        if "HYDRA_FULL_ERROR" in os.environ or message is None:
            raise
        sys.exit(error_text(message))


def _run_checked(task: Callable[[DictConfig], Any], config: DictConfig) -> None:
    """Run a task, unless its training would replace another one."""
    if "train" in config:
        refuse_other_output(Path(HydraConfig.get().runtime.output_dir), config, "hydra.sweep.dir")
    task(config)


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
