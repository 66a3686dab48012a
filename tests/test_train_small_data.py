"""Whole runs of the recipe for small data sets on real digits: it chooses, learns, continues."""

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from conftest import Compose
from odc_lightning.callbacks import SamplesMemory
from odc_lightning.train import train
from test_train import assert_same_training, checkpoint
from test_train_ddp import assert_equal_replicas, train_on_two_ranks

SMALL = (
    *("experiment=odc_small", "data=digits", "data.subset={num_images: 400}"),
    *("model.backbone.width=8", "trainer.accelerator=cpu", "callbacks.label_scores.knn=false"),
)


@pytest.mark.renders
def test_what_is_not_given_is_chosen_and_said(
    compose_config: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "odc_lightning.callbacks.lifecycle.run_report")
    summary: Any = train(compose_config(*SMALL, "trainer.max_epochs=10", "optimizer.lr=0.05"))
    written = OmegaConf.load(tmp_path / "run" / "config.yaml")
    clusters, batch = written.algorithm.num_clusters, written.data.batch_size
    assert summary["num_clusters"] == clusters
    assert (written.trainer.max_epochs, written.optimizer.lr) == (10, 0.05)
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(" ")[0] for line in said if "for 400 images" in line] == [
        f"algorithm.num_clusters={clusters}",
        f"data.batch_size={batch}",
    ]
    assert summary["train_loss"] < 0.92 * math.log(clusters)
    memory = checkpoint(tmp_path / "run")["callbacks"][SamplesMemory().state_key]
    torch.testing.assert_close(memory["features"].norm(dim=1), torch.ones(400))
    assert memory["offsets"].abs().max() > 0
    prototypes = checkpoint(tmp_path / "run")["state_dict"]["head.prototypes"]
    torch.testing.assert_close(prototypes.norm(dim=2), torch.ones(1, clusters))


def test_a_folder_that_is_not_named_is_asked_for(compose_config: Compose) -> None:
    with pytest.raises(ValueError, match=r"no value for data\.root; add data\.root=\.\.\."):
        train(compose_config("experiment=odc_small", "data=image_folder"))


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_a_continued_run_is_the_uninterrupted_run(
    compose_config: Compose, tmp_path: Path, every: str
) -> None:
    # An epoch has 12 steps: the 18th is in the middle of the second.
    in_the_middle = ["+callbacks.checkpoint.every_n_train_steps=18"] if every == "step" else []
    options = (*SMALL, "data.batch_size=32", "scheduler.T_max=3", *in_the_middle)
    train(compose_config(*options, "trainer.max_epochs=3", run="whole"))
    train(compose_config(*options, "trainer.max_epochs=2", run="part"))
    last = tmp_path / "part" / "checkpoints" / "last.ckpt"
    assert checkpoint(tmp_path / "part")["global_step"] == (18 if in_the_middle else 24)
    train(compose_config(*options, "trainer.max_epochs=3", f"ckpt_path={last}", run="rest"))
    assert_same_training(tmp_path / "whole", tmp_path / "rest")


@pytest.mark.ddp
def test_two_processes_agree(tmp_path: Path) -> None:
    zero, one = train_on_two_ranks(tmp_path, "experiment=odc_small", "model.backbone.width=8")
    assert_equal_replicas(zero, one)
    assert zero["offsets"].abs().max() > 0
