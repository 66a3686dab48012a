"""How stable the labels are (Fig. 5)."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.metrics import normalized_mutual_information


class LabelSwitchMonitor(pl.Callback):
    """Log ``odc/label_switch_ratio`` each step and ``odc/nmi_previous_epoch`` each epoch.

    Where labels change between epochs only there is no switch ratio, and the first NMI is that of
    the second epoch. Without clusters there is neither.
    """

    _previous: Tensor | None = None  # (N,) the labels of an epoch ago, on the CPU

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Forget another training's labels."""
        self._previous = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the labels that the first epoch starts from."""
        owner = PseudoLabels.find(trainer)
        if self._previous is None and owner is not None and owner.switch_ratio is not None:
            self._previous = owner.labels.cpu().clone()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log the share of the last global batch whose label changed."""
        owner = PseudoLabels.find(trainer)
        if owner is not None and owner.switch_ratio is not None:
            pl_module.log("odc/label_switch_ratio", owner.switch_ratio)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the labels with those of an epoch ago."""
        owner = PseudoLabels.find(trainer)
        if owner is None:
            return
        labels = owner.labels.cpu()
        if self._previous is not None:
            score = normalized_mutual_information(self._previous, labels)
            pl_module.log("odc/nmi_previous_epoch", score)
        self._previous = labels.clone()

    def state_dict(self) -> dict[str, Any]:
        """The labels of an epoch ago, so that a run that is continued has each epoch's NMI."""
        return {} if self._previous is None else {"previous": self._previous}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self._previous = state_dict.get("previous")
