"""Thousands of steps: the memory stays whole, and the process stays as large as it is."""

import csv
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from conftest import Compose
from helpers.ddp_probe import resident_bytes, run_ranks, soak
from odc_lightning.train import train


@pytest.mark.long
@pytest.mark.ddp
def test_ranks_agree_through_thousands_of_batches_of_any_size(tmp_path: Path) -> None:
    """Batches of 0 to 9 samples, splits at many steps, states that go to disk."""
    zero, one = run_ranks(soak, 2, tmp_path)
    assert zero["splits"] > 100
    assert zero["empty"] > 100
    for name, value in zero["memory"].items():
        assert torch.equal(value, one["memory"][name]), name
    for state in (zero, one):
        assert_flat([size / 2**20 for size in state["sizes"].tolist()])


def assert_flat(megabytes: list[float]) -> None:
    """The last quarter is no larger than the second, but for what an allocator does."""
    quarter = len(megabytes) // 4
    early, late = max(megabytes[quarter : 2 * quarter]), max(megabytes[-quarter:])
    assert late - early < 8, megabytes


class Sizes(pl.Callback):
    """Notes the process's size after each step."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step % 25 == 0:
            size = resident_bytes()
            with self.file.open("a") as file:
                file.write(f"{trainer.global_step},{size / 2**20}\n")


@pytest.mark.long
@pytest.mark.parametrize("experiment", ["odc_digits", "odc_small"])
def test_a_training_of_thousands_of_steps_does_not_grow(
    compose_config: Compose, tmp_path: Path, experiment: str
) -> None:
    """With two resumes on the way."""
    settings = (
        *(f"experiment={experiment}", "data=digits", "data.subset={num_images: 300}"),
        *("algorithm.num_clusters=20", "data.batch_size=8", "model.backbone.width=2"),
        *("algorithm.small_clusters.threshold=8", "callbacks.label_scores.knn=false"),
        *("trainer.accelerator=cpu", "train.resume=auto", "optimizer.lr=0.01"),
        "+callbacks.sizes._target_=faults.test_soak.Sizes",
        f"+callbacks.sizes.file={tmp_path / 'sizes.csv'}",
    )
    for epochs in (20, 40, 80):
        train(compose_config(*settings, f"trainer.max_epochs={epochs}"))
    with (tmp_path / "sizes.csv").open(newline="") as file:
        sizes = [(int(step), float(size)) for step, size in csv.reader(file)]
    assert sizes[-1][0] >= 2900
    assert_flat([size for step, size in sizes if step > 40 * 37])
