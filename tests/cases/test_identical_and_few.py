"""Folders of identical images, and of very few."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import Compose
from odc_lightning.checkpoints.read import read_checkpoint
from odc_lightning.cli.odc import translated
from odc_lightning.train import train


def command(folder: Path, count: int, identical: bool = False) -> list[str]:
    """The words of a training on small images of noise."""
    folder.mkdir()
    for number in range(count):
        seed = 0 if identical else number
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    machine = ("trainer.accelerator=cpu", "data.num_workers=0", "data.image_size=16")
    return [
        *translated("train", [str(folder), "model.pretrained=null"]),
        *machine,
        "trainer.max_epochs=1",
    ]


def test_identical_images(compose_config: Compose, tmp_path: Path) -> None:
    """They differ by their augmentation alone."""
    summary: Any = train(compose_config(*command(tmp_path / "photos", 60, identical=True)))
    assert summary["num_samples"] == 60
    assert math.isfinite(summary["train_loss"])
    callbacks = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["callbacks"]
    (labels,) = (state["labels"] for state in callbacks.values() if "labels" in state)
    assert labels.min() >= 0
    assert labels.max() < summary["num_clusters"]


@pytest.mark.parametrize(("count", "clusters"), [(2, 2), (3, 2), (17, 8)])
def test_few_images(count: int, clusters: int, compose_config: Compose, tmp_path: Path) -> None:
    summary: Any = train(compose_config(*command(tmp_path / "photos", count)))
    assert (summary["num_samples"], summary["num_clusters"]) == (count, clusters)
    assert math.isfinite(summary["train_loss"])


def test_one_image_is_refused(compose_config: Compose, tmp_path: Path) -> None:
    config = compose_config(*command(tmp_path / "photos", 1))
    with pytest.raises(ValueError, match="one image, and batch normalisation cannot train on one"):
        train(config)
    assert not (tmp_path / "run" / "checkpoints").exists()
