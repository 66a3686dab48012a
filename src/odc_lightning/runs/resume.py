"""Resuming a training: the checkpoint, and the records that are continued."""

import json
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from odc_lightning.checkpoints import (
    check_whole,
    checkpoint_file,
    newest_whole,
    read_values,
    step_of,
)
from odc_lightning.runs.metrics_csv import MetricsFile
from odc_lightning.runs.summary import Summary, read_summary
from odc_lightning.runs.wandb_run import with_wandb_group

log = logging.getLogger(__name__)

# Keys that say how a run is carried out, not what it computes.
EXECUTION_KEYS = (
    *("ckpt_path", "overwrite", "train", "logger", "data.num_workers", "data.cache"),
    *("trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.num_nodes"),
)


def with_checkpoint(config: DictConfig) -> DictConfig:
    """The config with ``ckpt_path`` filled in, if ``train.resume=auto`` asks for it.

    That is the newest whole checkpoint in the run's folder. Without a checkpoint a new run starts,
    so that one command serves the first start of a job and every later one.

    Raises:
        ValueError: ``train.resume`` is neither null nor ``auto``, or ``ckpt_path`` is given too,
            does not exist or is not a run's checkpoint.
    """
    resume = config.train.resume
    if resume not in (None, "auto"):
        raise ValueError(
            f"train.resume={resume}; expected auto, which resumes from the newest checkpoint in "
            "the run's folder (hydra.run.dir=...). To choose a checkpoint, use ckpt_path=FILE"
        )
    if resume is not None and OmegaConf.select(config, "overwrite"):
        raise ValueError("train.resume=auto and overwrite=true are both given; expected only one")
    if resume is None:
        if config.ckpt_path is not None:
            given = checkpoint_file(config.ckpt_path, "ckpt_path", to_resume=True)
            check_whole(given)
            step_of(given)  # raises unless it is a run's checkpoint
            config = config.copy()
            config.ckpt_path = str(given)
        return config
    if config.ckpt_path is not None:
        raise ValueError(
            f"train.resume=auto and ckpt_path={config.ckpt_path} are both given; expected only one"
        )
    folder = Path(config.run_dir) / "checkpoints"
    newest = newest_whole(folder)
    if newest is None:
        log.info("no checkpoint in %s: starting a new run", folder)
        return config
    log.info("resuming from %s", newest)
    config = config.copy()
    config.ckpt_path = str(newest)
    return config


def finished_before(config: DictConfig) -> Summary | None:
    """The summary of a finished run with the same settings in the run's folder; None without one.

    Args:
        config: of the run that is about to start, resolved.

    Raises:
        ValueError: the folder has a run with other settings, finished or not.
    """
    folder = Path(config.run_dir)
    written = folder / "config.yaml"
    if not written.is_file():
        return None
    different = differences(settings(OmegaConf.create(read_values(written))), settings(config))
    if different:
        raise ValueError(
            f"{folder} has a run with other settings ({'; '.join(different[:5])}); choose another "
            "folder for the sweep with hydra.sweep.dir=..., or remove that run"
        )
    try:
        return read_summary(folder / "summary.json")
    except (OSError, ValueError):  # missing, or damaged by a crash
        return None


def differences(before: Any, now: Any) -> list[str]:
    """The differences of two configs, as ``key: before, now after``, in the order of the keys."""
    return [f"{key}: {old}, now {new}" for key, old, new in changes(before, now)]


def changes(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The keys in which two nested dicts differ, with both values; None where a key is missing."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            where = f"{key}.{name}" if key else str(name)
            yield from changes(before.get(name), now.get(name), where)
    elif before != now:
        yield key, before, now


def settings(config: Any) -> dict[str, Any]:
    """The settings that decide a run's results; its folder, which may move, gets a fixed name."""
    config = config.copy()
    for key in EXECUTION_KEYS:
        parent, _, name = key.rpartition(".")
        (OmegaConf.select(config, parent) if parent else config).pop(name, None)
    # JSON, because a tuple comes back from a file as a list.
    text = json.dumps(OmegaConf.to_container(config, resolve=True))
    plain: dict[str, Any] = json.loads(
        text.replace(json.dumps(str(config.run_dir))[1:-1], "RUN_DIR")
    )
    return plain


def with_wandb_run(config: DictConfig) -> DictConfig:
    """The config with id and group of the W&B run, if W&B is used; a resumed run has them."""
    if OmegaConf.select(config, "logger.wandb") is None:
        return config
    config = config.copy()
    config.logger.wandb.id = config.logger.wandb.id or secrets.token_hex(4)
    return with_wandb_group(config, "train")


def keep_metrics(loggers: list[Logger], ckpt_path: str | None) -> None:
    """Keep the rows of ``metrics.csv`` up to the checkpoint's step."""
    files = [logger for logger in loggers if isinstance(logger, MetricsFile)]
    if files and ckpt_path is not None:
        for file in files:
            file.continue_from(step_of(Path(ckpt_path)))
