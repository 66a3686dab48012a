"""Targets from the current features: Eq. 2 and Eq. 3 before the loss instead of after it."""

from functools import partial
from typing import Any

import pytorch_lightning as pl

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.models import PrototypeHead
from odc_lightning.module import ODCModule


class CurrentTargets(pl.Callback):
    """Replace the stored pseudo-labels by soft assignments of the current features.

    The pseudo-label in Eq. 1 dates from the sample's last visit, one epoch ago. In a run of few
    epochs the network has changed much since then. Here all views of an image share one target: the
    soft assignment of its memory feature after the update of this step (Eq. 2), which averages the
    stored feature with the current views.
    """

    def __init__(self, temperature: float = 0.05) -> None:
        """Set the temperature of the targets.

        Args:
            temperature: T of ``softmax((scores + offsets) / T)``; it should be lower than the
                temperature of the head.

        Raises:
            ValueError: if the temperature is not positive.
        """
        if temperature <= 0:
            raise ValueError(
                f"algorithm.current_targets.temperature={temperature}; expected more than 0"
            )
        self.temperature = temperature

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check, before training starts, that the head accepts soft targets.

        Raises:
            ValueError: if the head is not a `PrototypeHead` with ``num_heads=1``.
        """
        head = ODCModule.of(pl_module).head
        if stage == "fit" and not (isinstance(head, PrototypeHead) and head.num_heads == 1):
            raise ValueError(
                f"the head is a {type(head).__name__}, and CurrentTargets needs a PrototypeHead "
                "with num_heads=1; set head@model.head=prototypes model.head.num_heads=1, or "
                "remove the callback (~algorithm.current_targets)"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the target to a function of the features, which do not exist yet."""
        memory = SamplesMemory.of(trainer).memory
        batch["target"] = partial(memory.soft_targets, batch["index"], temperature=self.temperature)
