"""Supervision: the labels of the data set reach the step, or the run is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import TrueLabels


class LabelledData(TinyData):
    """Sixteen random images with given labels."""

    def __init__(self, labels: np.ndarray | None) -> None:
        super().__init__(16, 4)
        source = type("Source", (), {"labels": labels})()
        self.train_dataset = type("Dataset", (), {"source": source})()


class Seen(TrueLabels):
    """Keeps what the step was given."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        self.pairs += zip(batch["index"].tolist(), batch["target"].tolist(), strict=True)


def test_each_sample_gets_its_own_label() -> None:
    labels = np.arange(16) % 3
    seen = Seen()
    module = tiny_module(3)
    before = [weight.clone() for weight in module.parameters()]
    tiny_trainer([seen]).fit(module, datamodule=LabelledData(labels))
    assert sorted(seen.pairs) == [(index, index % 3) for index in range(16)]
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_classes_of_a_subset_are_renumbered() -> None:
    seen = Seen()
    data = LabelledData(np.array([2, 5, 9])[np.arange(16) % 3])
    tiny_trainer([seen]).fit(tiny_module(3), datamodule=data)
    assert sorted(seen.pairs) == [(index, index % 3) for index in range(16)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "a label for every image, and 0 of 16 images have one"),
        (np.where(np.arange(16) < 3, -1, 0), "and 13 of 16 images have one"),
        (
            np.arange(16) % 4,
            r"the head has 3 outputs and the data have 4 classes; set algorithm\.num_cl",
        ),
    ],
)
def test_data_that_cannot_supervise(labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_trainer([TrueLabels()]).fit(tiny_module(3), datamodule=LabelledData(labels))
