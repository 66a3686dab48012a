"""Loss re-weighting by cluster size (Sec. 3.2)."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.clustering import loss_weights
from odc_lightning.utils.distributed import sum_over_ranks


class LossReweighting(pl.Callback):
    """Give each sample of a batch the weight ``1 / sqrt(N_c)`` of its cluster.

    ``batch["weight"]`` (B,) is scaled such that the loss is the weighted mean over the batch of
    all ranks: the sum of ``w l`` divided by the sum of ``w``.
    """

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Needs the labels, so it runs after the samples memory's hook."""
        memory = SamplesMemory.of(trainer).memory
        batch["weight"] = normalized(loss_weights(memory.counts[batch["target"]]))


def normalized(weights: Tensor) -> Tensor:
    """Scale this rank's weights (b,) such that the mean over ranks of mean(w l) is global.

    DDP averages the ranks' gradients and the module averages over its own b samples, so a weight
    must be ``w * b / mean over ranks of the rank's sum of w``. Alone that is ``w / mean(w)``.
    """
    one_rank = torch.ones((), device=weights.device)
    total, ranks = sum_over_ranks(torch.stack([weights.sum(), one_rank]))
    return weights * (len(weights) * ranks / total)
