"""How stable the labels are (Fig. 5)."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.samples_memory import SamplesMemory
from odc_lightning.evaluation import normalized_mutual_information


class LabelSwitchMonitor(pl.Callback):
    """Log ``odc/label_switch_ratio`` each step and ``odc/nmi_previous_epoch`` each epoch."""

    _previous: Tensor  # (N,) the labels of an epoch ago, on the CPU

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the labels that the first epoch starts from."""
        self._previous = SamplesMemory.of(trainer).memory.labels.cpu().clone()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log the share of the last global batch whose label changed."""
        ratio = SamplesMemory.of(trainer).switch_ratio
        pl_module.log("odc/label_switch_ratio", ratio, prog_bar=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the labels with those of an epoch ago."""
        labels = SamplesMemory.of(trainer).memory.labels.cpu()
        score = normalized_mutual_information(self._previous, labels)
        pl_module.log("odc/nmi_previous_epoch", score)
        self._previous = labels.clone()
