"""Which checkpoint a training goes on from, and which records it adds to."""

import json
import logging
import secrets
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from odc_lightning.checkpoints import (
    TrainingRun,
    check_whole,
    checkpoint_file,
    newest_whole,
    step_of,
)
from odc_lightning.runs.metrics_csv import MetricsFile
from odc_lightning.runs.summary import Summary, read_summary
from odc_lightning.runs.wandb_run import with_wandb_group

log = logging.getLogger(__name__)

# How a run is carried out, and not what it is.
NO_SETTINGS = (
    *("ckpt_path", "train", "logger", "data.num_workers"),
    *("trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.num_nodes"),
)


def with_checkpoint(config: DictConfig) -> DictConfig:
    """The config with ``ckpt_path`` filled in, where ``train.resume=auto`` asks for it.

    That is the newest whole checkpoint of the run's own folder. Where there is none the run begins,
    so that one command serves for a job's first start and for each later one.

    Raises:
        ValueError: if ``train.resume`` is neither null nor ``auto``, or ``ckpt_path`` is given too
            or does not exist.
    """
    resume = config.train.resume
    if resume not in (None, "auto"):
        raise ValueError(
            f"train.resume={resume}; expected auto, which looks in the run's own folder "
            "(hydra.run.dir=...); a certain checkpoint is ckpt_path=FILE"
        )
    if resume is None:
        if config.ckpt_path is not None:
            given = checkpoint_file(config.ckpt_path, "ckpt_path")
            check_whole(given)
            step_of(given)  # it is a run's
            config = config.copy()
            config.ckpt_path = str(given)
        return config
    if config.ckpt_path is not None:
        raise ValueError(
            f"both train.resume=auto and ckpt_path={config.ckpt_path}; expected one of them"
        )
    folder = Path(config.run_dir) / "checkpoints"
    found = newest_whole(folder)
    if found is None:
        log.info("no checkpoint in %s: the run begins", folder)
        return config
    log.info("going on from %s", found)
    config = config.copy()
    config.ckpt_path = str(found)
    return config


def finished_before(config: DictConfig) -> Summary | None:
    """The summary of a run that has finished in the run's own folder, with these very settings.

    Args:
        config: of the run that is about to begin, resolved.

    Raises:
        ValueError: if a run with other settings is there, finished or not.
    """
    folder = Path(config.run_dir)
    written = folder / "config.yaml"
    if not written.is_file():
        return None
    different = differences(_settings(OmegaConf.load(written)), _settings(config))
    if different:
        raise ValueError(
            f"{folder} has a run with other settings ({'; '.join(different[:5])}); choose another "
            "folder for the sweep with hydra.sweep.dir=..., or remove that run"
        )
    try:
        return read_summary(folder / "summary.json")
    except (OSError, ValueError):  # there is none, or what a crash has left of it
        return None


def differences(before: Any, now: Any, key: str = "") -> list[str]:
    """What two configs differ in, as ``key: before, now after``, in the order of the keys."""
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for name in [*before, *(name for name in now if name not in before)]:
            where = f"{key}.{name}" if key else str(name)
            found += differences(before.get(name), now.get(name), where)
        return found
    return [] if before == now else [f"{key}: {before}, now {now}"]


def _settings(config: Any) -> dict[str, Any]:
    """What decides a run's results; the run's folder, which may be moved, has one name in it."""
    config = config.copy()
    for key in NO_SETTINGS:
        parent, _, name = key.rpartition(".")
        (OmegaConf.select(config, parent) if parent else config).pop(name, None)
    # JSON, because a tuple comes back from a file as a list.
    text = json.dumps(OmegaConf.to_container(config, resolve=True))
    settings: dict[str, Any] = json.loads(
        text.replace(json.dumps(str(config.run_dir))[1:-1], "RUN_DIR")
    )
    return settings


def with_wandb_run(config: DictConfig) -> DictConfig:
    """The config with id and group of the W&B run, if there is one: where it goes on, the old ones.

    The config of the run that the checkpoint is of has kept them; a lone file begins a new one.
    """
    if OmegaConf.select(config, "logger.wandb") is None:
        return config
    config, former = config.copy(), None
    if config.ckpt_path is not None and config.logger.wandb.id is None:
        former = TrainingRun.of(checkpoint_file(config.ckpt_path))
    for key in ("id", "group"):
        known = None if former is None else OmegaConf.select(former.config, f"logger.wandb.{key}")
        config.logger.wandb[key] = config.logger.wandb[key] or known
    config.logger.wandb.id = config.logger.wandb.id or secrets.token_hex(4)
    return with_wandb_group(config, "train")


def keep_metrics(loggers: list[Logger], ckpt_path: str | None) -> None:
    """Let ``metrics.csv`` keep the rows of all steps that are in the checkpoint."""
    files = [logger for logger in loggers if isinstance(logger, MetricsFile)]
    if files and ckpt_path is not None:
        for file in files:
            file.continue_from(step_of(Path(ckpt_path)))
