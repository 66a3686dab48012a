"""Guard that stops a run at the first NaN or infinite loss, and saves network and batch."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.utils.distributed import sum_over_ranks
from odc_lightning.utils.fetched import Fetched


class FiniteCheck(pl.Callback):
    """Raise an error at a NaN or infinite loss, before the weights are updated.

    Only the loss is checked: every row of features contributes to it, so NaN or infinite features
    make it NaN or infinite too. It is read after the backward pass has been queued, so that a GPU
    has work while the host waits. All ranks stop at a bad loss of any rank: the backward pass
    averages gradients over ranks, so it reaches all of them.
    """

    def __init__(self, folder: str) -> None:
        """Set the folder for network and batch, saved as ``folder/step_S_rank_R.pt``."""
        self.folder = Path(folder)
        self._batch: Mapping[str, Any] = {}
        self._losses: Fetched | None = None  # (2,), this rank's and the sum of all

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the batch, to save it if the loss is not finite."""
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Start copying the loss to the host."""
        own = loss.detach()
        self._losses = Fetched(torch.stack([own, sum_over_ranks(own)]))

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the loss, before the optimiser changes the weights.

        Raises:
            ValueError: if the loss of this or another rank is not finite.
        """
        assert self._losses is not None
        own, total = self._losses.value()
        if math.isfinite(total):
            self._batch = {}
            return
        message = f"the loss of another rank is NaN or infinite at step {trainer.global_step}"
        try:
            if not math.isfinite(own):
                message = self._save(trainer, pl_module, f"the loss is {own:g}")
        finally:  # a rank that ends earlier would end the others while they save
            float(sum_over_ranks(torch.zeros((), device=pl_module.device)))
        raise ValueError(message)

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, problem: str) -> str:
        """Save network and batch, and return a message that names the file and the images."""
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
        return (
            f"{problem} at step {step} of epoch {trainer.current_epoch}; the batch's images are "
            f"{shown} (indices in index.csv), and network and batch are saved in {file}. Inspect "
            "these images; if they are fine, resume from the last checkpoint with a lower "
            "optimizer.lr (train.resume=auto and this run's hydra.run.dir), or start a new run"
        )
