"""Lightning's checkpoints, at moments from which a run goes on exactly."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` that saves what is due in the last step of an epoch at the epoch's end.

    Lightning skips the end of an epoch (scores, exact recomputation of the sums) when it goes on
    from a checkpoint of the epoch's last step. Nor is anything saved between two batches of one
    step: a checkpoint has no accumulated gradients.
    """

    _steps = 0  # optimiser steps that have been looked at

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting where a resumed run stands."""
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
        """Save if it is due, unless the epoch ends."""
        completed, self._steps = trainer.global_step > self._steps, trainer.global_step
        if completed and not trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save if it was due in the last step, or is now."""
        super().on_train_batch_end(trainer, pl_module, None, None, 0)
        super().on_train_epoch_end(trainer, pl_module)
