"""Shared parts of all commands: warnings, error messages, the end of a W&B run."""

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
from hydra._internal import utils as hydra_utils
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig

from odc_lightning.cli.hydra_errors import in_one_line
from odc_lightning.cli.output_folder import refuse_other_output
from odc_lightning.cli.refusals import module_of, refusal
from odc_lightning.cli.words import for_hydra
from odc_lightning.config import CONFIG_DIR
from odc_lightning.sweeps.jobs import in_multirun, run_job
from odc_lightning.utils.text import error_text, first_line

# Warnings that every run raises and that users cannot act on.
ALWAYS_IRRELEVANT = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "Image size .* exceeds limit of",  # data.max_pixels is the limit
    "It is recommended to use .*sync_dist=True",  # these values are the same on all ranks
)


def hydra_command(name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a function of a config the entry point of a command, as `hydra.main` does.

    Flags and settings may be in any order, and Hydra's errors are reported in one line, without a
    traceback (exit code 1; 2 for an unknown flag).

    Args:
        name: of the config.
    """

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        start = hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name=name)(function)

        @functools.wraps(function)
        def main() -> None:
            try:
                sys.argv[1:] = for_hydra(sys.argv[1:])
            except ValueError as error:
                print(error_text(error), file=sys.stderr)
                sys.exit(2)
            report = hydra_utils.run_and_report
            hydra_utils.run_and_report = _call  # type: ignore[assignment]
            try:
                start()
            except Exception as error:
                message = _message(error, name)
                if "HYDRA_FULL_ERROR" not in os.environ and message is not None:
                    sys.exit(error_text(message))
                report(functools.partial(_raise, error))
            finally:
                hydra_utils.run_and_report = report

        return main

    return decorate


def _message(error: Exception, name: str) -> str | None:
    """The one line about an error, or None if it is a bug."""
    if isinstance(error, InstantiationException):
        return refusal(error)
    if isinstance(error, HydraException):
        return in_one_line(error, name, sys.argv[1:])
    if isinstance(error, ValueError) and module_of(error).startswith("hydra."):
        return first_line(error)  # flags that exclude each other
    return refusal(error)


def _call(function: Callable[[], Any]) -> Any:
    """Call a function in place of Hydra's `run_and_report`, which prints errors and exits."""
    return function()


def _raise(error: Exception) -> None:
    raise error


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
