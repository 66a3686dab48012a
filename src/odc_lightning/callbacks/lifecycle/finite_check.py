"""Stops a run at the first loss or feature that is no number, and keeps what led there."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.utils.distributed import world


class FiniteCheck(pl.Callback):
    """Stops before a bad step is learned from, and before its features are in the memory.

    It looks at the loss, in which each row of features has its part: one that is no number makes
    the loss no number. On a GPU the answer is fetched once the backward pass is under way, so that
    the GPU has work while the host waits.
    """

    def __init__(self, folder: str) -> None:
        """Choose where the state goes: ``folder/step_S_rank_R.pt``."""
        self.folder = Path(folder)
        self._batch: Mapping[str, Any] = {}
        self._loss: Fetched | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep what the step will be about."""
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Send for the loss; with several ranks look at it now.

        In the backward pass they share their gradients, so the others would learn from it.

        Raises:
            ValueError: if it is not finite.
        """
        self._loss = Fetched(loss.detach())
        if world()[1] > 1:
            self._look(trainer, pl_module)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at it, while the weights are still those that gave it.

        Raises:
            ValueError: if it is not finite.
        """
        self._look(trainer, pl_module)
        self._batch = {}

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = math.nan if self._loss is None else self._loss.value()
        if not math.isfinite(loss):
            self._stop(trainer, pl_module, f"the loss is {loss:g}")

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


class Fetched:
    """A number on its way from the device to the host, which need not wait for it yet."""

    def __init__(self, number: Tensor) -> None:
        """Send for a 0-dim tensor, as it will be when the device has come to it."""
        self._arrived: torch.cuda.Event | None = None
        self._number = number
        if number.is_cuda:
            self._number = torch.empty_like(number, device="cpu", pin_memory=True)
            self._number.copy_(number, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def value(self) -> float:
        """Wait for it, but not for what the device was told later."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return float(self._number)
