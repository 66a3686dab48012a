"""Tiny trainings by the code of the real command, for the sections that run many of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.gpu.rows import Values
from odc_lightning.config import CONFIG_DIR
from odc_lightning.train import train

ON_GPU = (
    "trainer.accelerator=gpu",
    "data.batch_size=64",
    "trainer.limit_train_batches=12",
    "trainer.max_epochs=2",
)
DRY_RUN = (
    "trainer.accelerator=cpu",
    "data.batch_size=32",
    "data.subset={num_images: 130}",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "callbacks.label_scores.knn=false",
)
ALWAYS = ("trainer.devices=1", "data.num_workers=0", "trainer.log_every_n_steps=5")

NARROW = "model.backbone.width=8"
DIGITS = ("data=digits", NARROW)
PATCHES = ("data=photo_patches", "data.train.stride=24", "data.val.stride=24")
NO_KNN = "callbacks.label_scores.knn=false"


def clusters(dry_run: bool) -> str:
    """The setting of C that suits the images of a tiny training."""
    return f"algorithm.num_clusters={5 if dry_run else 20}"


def composed(name: str, *overrides: str) -> DictConfig:
    """The config of a command, such as ``train``."""
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        return compose(name, list(overrides))


def run(
    dry_run: bool, folder: Path | str, *overrides: str, callbacks: Sequence[pl.Callback] = ()
) -> Values:
    """Train in a folder.

    Args:
        dry_run: on the CPU, with fewer images and steps.
        folder: of the run.
        overrides: of the config, over those of every tiny training.
        callbacks: in addition to those of the config.

    Returns:
        Seconds, the last loss and the scores.
    """
    start = perf_counter()
    size = DRY_RUN if dry_run else ON_GPU
    config = composed("train", *ALWAYS, *size, f"run_dir={folder}", *overrides)
    summary = train(config, callbacks)
    assert summary is not None  # there is one rank
    scores = {"loss": summary["train_loss"], "kNN": summary["knn_top1"], "NMI": summary["nmi"]}
    return {"seconds": perf_counter() - start, **scores}


def small_run(dry_run: bool, *overrides: str, callbacks: Sequence[pl.Callback] = ()) -> Values:
    """Train as `run` does, in a folder that is deleted."""
    with tempfile.TemporaryDirectory() as folder:
        return run(dry_run, folder, *overrides, callbacks=callbacks)
