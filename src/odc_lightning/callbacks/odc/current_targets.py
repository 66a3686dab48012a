"""Targets from the step's own features: Eq. 2 and Eq. 3 before the loss instead of after it."""

from functools import partial
from typing import Any

import pytorch_lightning as pl

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.models import PrototypeHead
from odc_lightning.module import ODCModule


class CurrentTargets(pl.Callback):
    """Targets of now, in place of the label that the memory had before the step.

    The label of Eq. 1 is as old as the sample's last visit, an epoch; where epochs are few that is
    another network's. Here the target of all views of an image is the soft assignment of its memory
    feature as this very step will leave it: what it was, and what the views of now say together.
    """

    def __init__(self, temperature: float = 0.05) -> None:
        """Choose how soft targets are.

        Args:
            temperature: T of ``softmax((scores + offsets) / T)``; should be less than the head's.

        Raises:
            ValueError: if it is not more than 0.
        """
        if temperature <= 0:
            raise ValueError(
                f"algorithm.current_targets.temperature={temperature}; expected more than 0"
            )
        self.temperature = temperature

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a head that takes labels only, before training starts.

        Raises:
            ValueError: if the head is no `PrototypeHead` with a single head.
        """
        head = ODCModule.of(pl_module).head
        if stage == "fit" and not (isinstance(head, PrototypeHead) and head.num_heads == 1):
            raise ValueError(
                f"the head is a {type(head).__name__}, and CurrentTargets needs a PrototypeHead "
                "with num_heads=1; set head@model.head=prototypes model.head.num_heads=1, or leave "
                "it out (~algorithm.current_targets)"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Leave a function of the features in the batch, since there are none yet."""
        memory = SamplesMemory.of(trainer).memory
        batch["target"] = partial(memory.soft_targets, batch["index"], temperature=self.temperature)
