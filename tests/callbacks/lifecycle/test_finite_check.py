"""A bad step stops the run before anything has learned from it."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from helpers.ddp_probe import bad_loss, run_ranks
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import FiniteCheck, KMeansBootstrap, SamplesMemory

N, C, B = 48, 4, 16


class Spoil(pl.Callback):
    """Makes one weight infinite before a step, or one of the features that the network gives."""

    def __init__(self, step: int, features: bool) -> None:
        self.step, self.features = step, features

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self.step:
            return
        if self.features:
            pl_module.get_submodule("neck").register_forward_hook(self._spoil)
        else:
            next(pl_module.parameters()).data.view(-1)[0] = float("inf")

    @staticmethod
    def _spoil(module: Any, inputs: Any, features: torch.Tensor) -> torch.Tensor:
        bad = torch.zeros_like(features)
        bad[3, 0] = float("inf")
        return features + bad


@pytest.mark.parametrize("features", [False, True])
def test_stops_with_step_images_and_state(tmp_path: Path, features: bool) -> None:
    memory, step = SamplesMemory(), 4
    check = FiniteCheck(str(tmp_path / "not_finite"))
    every_step = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=1)
    callbacks = [check, memory, KMeansBootstrap(), Spoil(step, features), every_step]
    trainer = tiny_trainer(callbacks, max_epochs=4, enable_checkpointing=True)
    module = tiny_module(C)
    message = rf"the loss is (nan|inf) at step {step} of epoch 1; the batch's images are"
    with pytest.raises(ValueError, match=message):
        trainer.fit(module, datamodule=TinyData(N, B))
    (file,) = (tmp_path / "not_finite").iterdir()
    state = torch.load(file, weights_only=True)
    assert (state["epoch"], state["step"]) == (1, step)
    assert len(state["batch"]["index"]) == B
    assert state["batch"]["image"].shape[0] == B
    # No weight has learned from that step, and no checkpoint has its features.
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] == step
    state_of_memory = saved["callbacks"][memory.state_key]
    assert torch.isfinite(state_of_memory["features"]).all()
    assert torch.isfinite(state_of_memory["centroids"]).all()
    bad = [name for name, value in module.named_parameters() if not value.isfinite().all()]
    assert len(bad) == (0 if features else 1)  # the weight that was spoilt
    assert all(not state["state_dict"][name].isfinite().all() for name in bad)


def test_finite_runs_continue(tmp_path: Path) -> None:
    check = FiniteCheck(str(tmp_path / "not_finite"))
    callbacks = [check, SamplesMemory(), KMeansBootstrap()]
    tiny_trainer(callbacks, max_epochs=2).fit(tiny_module(C), datamodule=TinyData(N, B))
    assert not (tmp_path / "not_finite").exists()


@pytest.mark.ddp
def test_all_ranks_stop_at_a_bad_loss_of_one_after_it_is_saved(tmp_path: Path) -> None:
    zero, one = run_ranks(bad_loss, 2, tmp_path)
    assert zero == {"error": "the loss of another rank is NaN or infinite at step 3", "saved": True}
    assert one["error"].startswith("the loss is nan at step 3 of epoch 0; the batch's images are 0")
