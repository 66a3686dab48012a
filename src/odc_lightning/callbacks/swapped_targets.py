"""Targets from the step's own features: each view of an image predicts the others' cluster."""

from functools import partial
from typing import Any

import pytorch_lightning as pl

from odc_lightning.callbacks.samples_memory import SamplesMemory


class SwappedTargets(pl.Callback):
    """Targets of now, in place of the label that the memory had before the step.

    The label of Eq. 1 is as old as the sample's last visit, an epoch. Here Eq. 2 and Eq. 3 look
    ahead: the target of a view is the soft assignment of the memory's feature as the image's other
    views will make it. Views are swapped as in SwAV (Caron et al., NeurIPS 2020, Eq. 1), so that no
    view is its own teacher.
    """

    def __init__(self, temperature: float = 0.05) -> None:
        """Choose how soft targets are.

        Args:
            temperature: T of ``softmax(scores / T)``; should be less than the head's.

        Raises:
            ValueError: if it is not more than 0.
        """
        if temperature <= 0:
            raise ValueError(
                f"algorithm.swapped_targets.temperature={temperature}; expected more than 0"
            )
        self.temperature = temperature

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a single view, before training starts.

        Raises:
            ValueError: if the data has fewer than two views an image.
        """
        num_views = getattr(trainer.datamodule, "num_views", 1)  # type: ignore[attr-defined]
        if stage == "fit" and num_views < 2:
            raise ValueError(
                f"data.num_views={num_views}, and SwappedTargets needs two views or more of each "
                "image; set data.num_views=2, or leave it out (~algorithm.swapped_targets)"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Leave a function of the features in the batch, since there are none yet."""
        memory = SamplesMemory.of(trainer).memory
        batch["target"] = partial(
            memory.swapped_targets, batch["index"], temperature=self.temperature
        )
