"""Train: ``python -m odc_lightning.train experiment=quickstart``.

Read `train` top to bottom: seed, data, network, trainer with callbacks and loggers, fit, report.
"""

import os
import sys
import time
import traceback
import warnings
from pathlib import Path

import hydra
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from odc_lightning.config import CONFIG_DIR, build_module, build_trainer
from odc_lightning.data import ImageDataModule
from odc_lightning.report import Summary, closing_lines
from odc_lightning.run_report import write_report

# Said of every run, and nothing that its user could act on.
IRRELEVANT_WARNINGS = (
    "Experiment logs directory .* exists and is not empty",  # it holds Hydra's files already
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "It is recommended to use .*sync_dist=True",  # these values are the same on all ranks
    "The dirpath has changed from",  # a continued run has a folder of its own
)


def train(config: DictConfig) -> Summary | None:
    """Run one training and leave its results in ``config.run_dir``.

    Returns:
        The summary, on rank 0 alone.
    """
    started = time.monotonic()
    for message in IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message)
    resolved = resolve(config)
    run_dir = Path(config.run_dir)
    pl.seed_everything(config.seed, workers=True)
    data: ImageDataModule = instantiate(config.data)
    module = build_module(config)
    trainer = build_trainer(config)
    refuse_ranks_in_multirun(trainer)
    summary, failed = None, True
    try:
        if trainer.is_global_zero:
            run_dir.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(resolved, run_dir / "config.yaml")
        for logger in trainer.loggers:
            logger.log_hyperparams(OmegaConf.to_container(resolved))  # type: ignore[arg-type]
        trainer.fit(module, datamodule=data, ckpt_path=config.ckpt_path)
        if trainer.is_global_zero:
            summary = write_report(trainer, data, run_dir, started)
        failed = False
    finally:
        finish_wandb(failed)
    if summary is not None:
        print(f"\n{closing_lines(summary, run_dir)}")
    return summary


def finish_wandb(failed: bool) -> None:
    """End the W&B run if there is one, so that the next job of a multirun starts its own."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def resolve(config: DictConfig) -> DictConfig:
    """The config with every reference resolved; a ValueError names a setting without a value."""
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ValueError(f"no value yet for {key}: add {key}=... to the command") from error
    return OmegaConf.create(plain)  # type: ignore[return-value]


def refuse_ranks_in_multirun(trainer: pl.Trainer) -> None:
    """Raise a ValueError for several ranks in a multirun.

    Lightning starts the other ranks with the command of the whole sweep, so each would sweep by
    itself, and the processes of one job would meet those of another.
    """
    multirun = HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
    if multirun and trainer.world_size > 1:
        raise ValueError(
            f"a multirun (-m) with {trainer.world_size} devices: expected one device a job. Add "
            "trainer.devices=1, or start the jobs one after the other without -m"
        )


@hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name="train")
def main(config: DictConfig) -> None:
    """Command line entry; input that the package refuses is told without a traceback."""
    try:
        train(config)
    except Exception as error:
        # Hydra wraps what a constructor raises, and stops a multirun by itself.
        refusal = (error.__cause__ or error) if isinstance(error, InstantiationException) else error
        single = HydraConfig.get().mode is RunMode.RUN
        if "HYDRA_FULL_ERROR" in os.environ or not (single and _is_refusal(refusal)):
            raise
        sys.exit(f"error: {refusal}")


def _is_refusal(error: BaseException | None) -> bool:
    """Whether this package raised the error itself, with a message for the user."""
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith(("odc_lightning", "__main__"))


if __name__ == "__main__":
    main()
