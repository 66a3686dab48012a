"""Checkpoints from which a run resumes exactly."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` that saves only in states from which training resumes exactly.

    A checkpoint due at the last step of an epoch is saved at the end of the epoch. Lightning would
    otherwise resume after that step and skip the end of the epoch (scores, exact recomputation of
    the sums). Nothing is saved between two batches of one optimiser step, because checkpoints do
    not contain accumulated gradients.
    """

    _steps = 0  # optimiser steps completed before this batch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting steps at ``trainer.global_step``, which is not 0 in a resumed run."""
        super().on_train_start(trainer, pl_module)
        self._steps = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if due, except within an optimiser step and at the last batch of an epoch."""
        completed, self._steps = trainer.global_step > self._steps, trainer.global_step
        if completed and not trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save if due at the last step of the epoch, or at its end."""
        super().on_train_batch_end(trainer, pl_module, None, None, 0)
        super().on_train_epoch_end(trainer, pl_module)
