"""A bad step stops the run before anything has learned from it."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from helpers import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import FiniteCheck, KMeansBootstrap, SamplesMemory

N, C, B = 48, 4, 16


class Spoil(pl.Callback):
    """Makes one weight NaN before a step, or the features that come out of one."""

    def __init__(self, step: int, features: bool) -> None:
        self.step, self.features = step, features

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step and not self.features:
            next(pl_module.parameters()).data.view(-1)[0] = float("inf")

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        if trainer.global_step == self.step and self.features:
            spoil = self._spoil
            step = pl_module.training_step

            def spoiled(*args: Any) -> Any:
                return spoil(step(*args))

            pl_module.training_step = spoiled  # type: ignore[method-assign]

    @staticmethod
    def _spoil(outputs: Any) -> Any:
        outputs["features"] = outputs["features"].clone()
        outputs["features"][0, 0] = float("nan")
        return outputs


@pytest.mark.parametrize(("features", "step"), [(False, 4), (True, 4)])
def test_stops_with_step_images_and_state(tmp_path: Path, features: bool, step: int) -> None:
    memory = SamplesMemory()
    check = FiniteCheck(str(tmp_path / "not_finite"))
    # The wrapped training_step is first used a step later.
    spoil = Spoil(step - features, features)
    callbacks = [check, memory, KMeansBootstrap(backend="torch"), spoil]
    trainer = tiny_trainer(callbacks, max_epochs=4)
    module = tiny_module(C)
    what = "1 numbers of the features are not finite" if features else r"the loss is (nan|inf)"
    with pytest.raises(ValueError, match=rf"{what} at step .* of epoch 1; the batch's images are"):
        trainer.fit(module, datamodule=TinyData(N, B))
    (file,) = (tmp_path / "not_finite").iterdir()
    state = torch.load(file, weights_only=True)
    assert state["epoch"] == 1
    assert len(state["batch"]["index"]) == B
    assert state["batch"]["image"].shape[0] == B
    # Nothing of that step is in the memory.
    assert torch.isfinite(memory.memory.features).all()
    assert torch.isfinite(memory.memory.sums).all()
    if not features:
        assert state["step"] == step
        bad = [name for name, value in module.named_parameters() if not value.isfinite().all()]
        assert len(bad) == 1  # the weight that was spoilt; no other has learned from it
        assert not state["state_dict"][bad[0]].isfinite().all()


def test_finite_runs_go_on(tmp_path: Path) -> None:
    check = FiniteCheck(str(tmp_path / "not_finite"))
    callbacks = [check, SamplesMemory(), KMeansBootstrap(backend="torch")]
    tiny_trainer(callbacks, max_epochs=2).fit(tiny_module(C), datamodule=TinyData(N, B))
    assert not (tmp_path / "not_finite").exists()
