"""Whole runs that augment in batch, on the CPU: they train, and go on, as others do."""

from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Compose
from helpers.pretext_runs import DIGITS, last_metrics
from odc_lightning.train import train
from test_train import assert_same_training, checkpoint
from test_train_small_data import SMALL

pytest.importorskip("kornia")

IN_BATCH = ("data.augment_on=gpu", "callbacks.label_scores.knn=false")


def test_a_run_continued_in_an_epoch_is_the_uninterrupted_run(
    compose_config: Compose, tmp_path: Path
) -> None:
    """With two views, so that the bootstrap takes training batches, too."""
    # An epoch has 12 steps: the 18th is in the middle of the second.
    options = (*SMALL, *IN_BATCH, "data.batch_size=32", "scheduler.T_max=2")
    often = "+callbacks.checkpoint.every_n_train_steps=18"
    train(compose_config(*options, often, "trainer.max_epochs=2", run="whole"))
    last = tmp_path / "whole" / "checkpoints" / "last.ckpt"
    assert checkpoint(tmp_path / "whole")["global_step"] == 18
    rest = ("trainer.max_epochs=2", "data.num_workers=1")
    train(compose_config(*options, *rest, run="straight"))
    train(compose_config(*options, *rest, f"ckpt_path={last}", run="rest"))
    assert_same_training(tmp_path / "straight", tmp_path / "rest")


def test_a_pretext_task_sees_augmented_images(compose_config: Compose, tmp_path: Path) -> None:
    runs = {}
    for where in ("cpu", "gpu"):
        settings = ("experiment=rotation_fashion_mnist", *DIGITS, *IN_BATCH, "trainer.max_epochs=1")
        summary: Any = train(compose_config(*settings, f"data.augment_on={where}", run=where))
        assert torch.isfinite(torch.tensor(summary["train_loss"]))
        runs[where] = last_metrics(tmp_path / where)
    # The same views but for rounding, so nearly the same network.
    assert runs["gpu"]["train/loss"] == pytest.approx(runs["cpu"]["train/loss"], rel=0.05)
