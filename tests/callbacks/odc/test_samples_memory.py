from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from helpers.tiny import TinyData, TinyImages, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    CentroidRefresh,
    KMeansBootstrap,
    LossReweighting,
    SamplesMemory,
    SmallClusters,
)
from odc_lightning.module import ODCModule

N, C = 60, 6


def callbacks() -> list[pl.Callback]:
    refresh, small = CentroidRefresh(every_n_steps=3), SmallClusters(threshold=3)
    return [SamplesMemory(), KMeansBootstrap(), LossReweighting(), refresh, small]


def train(
    module: ODCModule, data: TinyData | None = None, **settings: Any
) -> dict[str, torch.Tensor]:
    owner, *others = callbacks()
    torch.manual_seed(0)
    trainer = tiny_trainer([owner, *others], max_epochs=3, **settings)
    trainer.fit(module, data or TinyData(N, 16))
    return {**SamplesMemory.of(trainer).memory.state_dict(), **module.state_dict()}


class ValidationData(TinyData):
    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TinyImages(20, seed=9), 5, generator=torch.Generator())


class Validated(ODCModule):
    """Embeds other images in between, as a validation would."""

    validated: int = 0

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        assert not self.training
        self.embed(batch["image"])
        self.validated += 1


def test_a_validation_in_between_changes_nothing() -> None:
    module = tiny_module(C)
    module.__class__ = Validated
    found = train(module, ValidationData(N, 16), val_check_interval=2)
    assert module.validated == 2 + 3 * 2 * 4  # sanity check; epochs, validations, batches
    expected = train(tiny_module(C))
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_bf16_training_keeps_the_memory_in_fp32(precision: str) -> None:
    found = train(tiny_module(C), precision=precision)
    assert found["features"].dtype == found["centroids"].dtype == torch.float32
    assert found["sums"].dtype == torch.int64


def test_the_module_alone_says_what_is_missing() -> None:
    class Uncounted(TinyData):
        def __init__(self) -> None:
            super().__init__(N, 16)
            self.num_samples = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match=r"algorithm\.samples_memory"):
        tiny_trainer([]).fit(tiny_module(C), TinyData(N, 16))
    with pytest.raises(ValueError, match=r"algorithm\.kmeans_bootstrap"):
        tiny_trainer([SamplesMemory()]).fit(tiny_module(C), TinyData(N, 16))
    with pytest.raises(ValueError, match="num_samples"):
        tiny_trainer(callbacks()).fit(tiny_module(C), Uncounted())


def test_another_module_is_refused() -> None:
    class Other(pl.LightningModule):
        def training_step(self, batch: Any, batch_idx: int) -> None: ...

        def configure_optimizers(self) -> None: ...

    with pytest.raises(ValueError, match="expected an ODCModule, got a Other"):
        tiny_trainer(callbacks()).fit(Other(), TinyData(N, 16))
