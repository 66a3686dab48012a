"""Stops a run at the first loss or feature that is no number, and keeps what led there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor


class FiniteCheck(pl.Callback):
    """Stops before a bad step is learned from, and before its features are in the memory.

    Reading the loss makes a GPU wait for the step.
    """

    def __init__(self, folder: str) -> None:
        """Choose where the state goes: ``folder/step_S_rank_R.pt``."""
        self.folder = Path(folder)
        self._batch: Mapping[str, Any] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep what the step will be about."""
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Look at the loss, while the weights are still those that gave it.

        Raises:
            ValueError: if it is not finite.
        """
        if not bool(torch.isfinite(loss)):
            self._stop(trainer, pl_module, f"the loss is {loss.item():g}")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at the features before the memory does.

        Raises:
            ValueError: if one is not finite.
        """
        features = outputs["features"]
        # One number instead of as many as there are features: inf and NaN survive the sum.
        if not bool(torch.isfinite(features.float().sum())):
            number = int((~torch.isfinite(features)).sum())
            self._stop(trainer, pl_module, f"{number} numbers of the features are not finite")
        self._batch = {}

    def _stop(self, trainer: pl.Trainer, pl_module: pl.LightningModule, what: str) -> None:
        step = trainer.global_step
        indices = self._batch["index"].tolist()
        file = self.folder / f"step_{step}_rank_{trainer.global_rank}.pt"
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "step": step,
            "epoch": trainer.current_epoch,
            "state_dict": pl_module.state_dict(),
            "batch": {k: v for k, v in self._batch.items() if isinstance(v, Tensor)},
        }
        torch.save(state, file)
        shown = ", ".join(map(str, indices[:8])) + (", ..." if len(indices) > 8 else "")
        raise ValueError(
            f"{what} at step {step} of epoch {trainer.current_epoch}; the batch's images are "
            f"{shown} (numbers of index.csv), and network and batch are in {file}. Look at "
            "these images; if nothing is wrong with them, begin anew with a lower optimizer.lr "
            "(a run that goes on keeps its own)"
        )
