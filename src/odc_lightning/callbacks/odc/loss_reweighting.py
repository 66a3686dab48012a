"""Loss re-weighting by cluster size (Sec. 3.2)."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.clustering import loss_weights
from odc_lightning.utils.distributed import sum_over_ranks


class LossReweighting(pl.Callback):
    """Weigh the loss of each sample by ``1 / sqrt(N_c)`` of its cluster.

    ``batch["weight"]``, one entry per entry of ``batch["target"]``, is scaled such that the loss is
    the weighted mean over the batch of all ranks: the sum of ``w l`` divided by the sum of ``w``.
    """

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the weights; `SamplesMemory` has set the labels before (see `callbacks.order`)."""
        memory = SamplesMemory.of(trainer).memory
        batch["weight"] = normalized(loss_weights(memory.counts[batch["target"]]))


def normalized(weights: Tensor) -> Tensor:
    """Scale weights (b,) such that averaging over samples and ranks gives the weighted mean.

    The module averages over the b samples of its rank, and DDP averages gradients over ranks. So
    each weight becomes ``w * b / S``, where S is the mean over ranks of each rank's sum of w. With
    one rank that is ``w / mean(w)``.
    """
    one_rank = torch.ones((), device=weights.device)
    total, ranks = sum_over_ranks(torch.stack([weights.sum(), one_rank]))
    return weights * (len(weights) * ranks / total)
