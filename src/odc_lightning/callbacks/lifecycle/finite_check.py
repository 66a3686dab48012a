"""Guard that stops a run at the first NaN or infinite loss, and saves network and batch."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.utils.distributed import world


class FiniteCheck(pl.Callback):
    """Raise an error at a NaN or infinite loss, before weights or memory are updated.

    Only the loss is checked: every row of features contributes to it, so NaN or infinite features
    make it NaN or infinite too. On a GPU the loss is read after the backward pass has been queued,
    so that the GPU has work while the host waits.
    """

    def __init__(self, folder: str) -> None:
        """Set the folder for network and batch, saved as ``folder/step_S_rank_R.pt``."""
        self.folder = Path(folder)
        self._batch: Mapping[str, Any] = {}
        self._loss: Fetched | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the batch, to save it if the loss is not finite."""
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Start copying the loss to the host; with several ranks, check it now.

        The backward pass averages gradients over ranks, so one bad loss would reach all of them.

        Raises:
            ValueError: if the loss is not finite.
        """
        self._loss = Fetched(loss.detach())
        if world()[1] > 1:
            self._check(trainer, pl_module)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the loss, before the optimiser changes the weights.

        Raises:
            ValueError: if the loss is not finite.
        """
        self._check(trainer, pl_module)
        self._batch = {}

    def _check(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = math.nan if self._loss is None else self._loss.value()
        if not math.isfinite(loss):
            self._stop(trainer, pl_module, f"the loss is {loss:g}")

    def _stop(self, trainer: pl.Trainer, pl_module: pl.LightningModule, problem: str) -> None:
        """Save network and batch, and raise an error that names the file and the images."""
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
            f"{problem} at step {step} of epoch {trainer.current_epoch}; the batch's images are "
            f"{shown} (indices in index.csv), and network and batch are saved in {file}. Inspect "
            "these images; if they are fine, resume from the last checkpoint with a lower "
            "optimizer.lr (train.resume=auto and this run's hydra.run.dir), or start a new run"
        )


class Fetched:
    """A number that is copied from the device to the host without blocking the host."""

    def __init__(self, number: Tensor) -> None:
        """Queue a copy of a 0-dim tensor to the host."""
        self._copied: torch.cuda.Event | None = None
        self._number = number
        if number.is_cuda:
            self._number = torch.empty_like(number, device="cpu", pin_memory=True)
            self._number.copy_(number, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def value(self) -> float:
        """Wait for the copy, but not for operations queued after it, and return the number."""
        if self._copied is not None:
            self._copied.synchronize()
        return float(self._number)
