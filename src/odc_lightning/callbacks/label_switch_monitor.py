"""How stable the labels are (Fig. 5)."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.samples_memory import SamplesMemory
from odc_lightning.evaluation import normalized_mutual_information


class LabelSwitchMonitor(pl.Callback):
    """Log ``odc/label_switch_ratio`` each step and ``odc/nmi_previous_epoch`` each epoch.

    Attributes:
        epoch_means: mean label-switch ratio of each finished epoch.
    """

    def __init__(self) -> None:
        """Nothing to choose."""
        self.epoch_means: list[float] = []
        self._ratios: list[Tensor] = []
        self._previous: Tensor

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the labels that the first epoch starts from."""
        self._previous = SamplesMemory.of(trainer).memory.labels.cpu().clone()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log the share of the last global batch whose label changed."""
        ratio = SamplesMemory.of(trainer).switch_ratio
        pl_module.log("odc/label_switch_ratio", ratio, prog_bar=True)
        self._ratios.append(ratio)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the labels with those of an epoch ago."""
        labels = SamplesMemory.of(trainer).memory.labels.cpu()
        score = normalized_mutual_information(self._previous, labels)
        pl_module.log("odc/nmi_previous_epoch", score)
        self._previous = labels.clone()
        self.epoch_means.append(float(torch.stack(self._ratios).mean()))
        self._ratios.clear()

    def state_dict(self) -> dict[str, Any]:
        """The finished epochs' means."""
        return {"epoch_means": list(self.epoch_means)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the list."""
        self.epoch_means = list(state_dict["epoch_means"])
