"""Which features' rank is logged."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import FeatureRank, KMeansBootstrap, SamplesMemory
from odc_lightning.metrics import effective_rank


def test_of_the_last_full_batch_of_each_epoch() -> None:
    class Keep(pl.Callback):
        def __init__(self) -> None:
            self.batches: list[torch.Tensor] = []
            self.logged: list[float] = []

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            self.batches.append(outputs["features"].clone())

        def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            self.logged.append(float(trainer.callback_metrics["train/feature_rank"]))

    keep = Keep()
    parts = [SamplesMemory(), KMeansBootstrap(backend="torch"), FeatureRank(), keep]
    trainer = tiny_trainer(parts, max_epochs=2)
    trainer.fit(tiny_module(4), datamodule=TinyData(40, 16))
    assert [len(batch) for batch in keep.batches] == [16, 16, 8] * 2
    expected = [effective_rank(keep.batches[place]) for place in (1, 4)]
    assert keep.logged == pytest.approx(expected)
