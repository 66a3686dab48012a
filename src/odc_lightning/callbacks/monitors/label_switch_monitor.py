"""Monitor of the stability of the pseudo-labels (Fig. 5)."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.metrics import normalized_mutual_information
from odc_lightning.utils.logged_steps import is_logged


class LabelSwitchMonitor(pl.Callback):
    """Log ``odc/label_switch_ratio`` each logged step and ``odc/nmi_previous_epoch`` each epoch.

    If labels change only between epochs, there is no switch ratio, and the second epoch logs the
    first NMI. Without clusters nothing is logged.
    """

    _previous: Tensor | None = None  # (N,) labels one epoch ago, on the CPU

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Drop the labels of an earlier training."""
        self._previous = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Store the labels from which the first epoch starts."""
        owner = PseudoLabels.find(trainer)
        if self._previous is None and owner is not None and owner.switch_ratio is not None:
            self._previous = owner.labels.cpu().clone()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log the share of the last global batch whose label changed."""
        owner = PseudoLabels.find(trainer)
        if owner is not None and owner.switch_ratio is not None and is_logged(trainer):
            pl_module.log("odc/label_switch_ratio", owner.switch_ratio)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the NMI of the labels with those one epoch ago."""
        owner = PseudoLabels.find(trainer)
        if owner is None:
            return
        labels = owner.labels.cpu()
        if self._previous is not None:
            score = normalized_mutual_information(self._previous, labels)
            pl_module.log("odc/nmi_previous_epoch", score)
        self._previous = labels.clone()

    def state_dict(self) -> dict[str, Any]:
        """Return the labels one epoch ago, so that a resumed run logs the NMI of each epoch."""
        return {} if self._previous is None else {"previous": self._previous}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the labels one epoch ago."""
        self._previous = state_dict.get("previous")
