"""How fast training goes, without what happens around it."""

from time import perf_counter
from typing import Any

import pytorch_lightning as pl


class Throughput(pl.Callback):
    """Counts the images of all ranks and the time spent on them.

    The time runs from the start of an epoch's first batch to the end of its last one, waiting for
    data in between included; the bootstrap, validation and the work at an epoch's end are not.

    Attributes:
        num_images: over all ranks, since training started or was resumed.
        seconds: spent on them.
    """

    def __init__(self) -> None:
        """Start from nothing."""
        self.num_images = 0
        self.seconds = 0.0
        self._last: float | None = None

    @property
    def images_per_second(self) -> float | None:
        """The mean since training started or was resumed; None before the first batch."""
        return self.num_images / self.seconds if self.seconds > 0 else None

    def on_train_batch_start(self, *_: Any) -> None:
        """Count the wait for this batch, unless something else came in between."""
        now = perf_counter()
        self.seconds += now - (self._last or now)
        self._last = now

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch."""
        now = perf_counter()
        self.seconds += now - (self._last or now)
        self._last = now
        self.num_images += len(batch["index"]) * trainer.world_size

    def on_validation_start(self, *_: Any) -> None:
        """Stop the clock."""
        self._last = None

    def on_train_epoch_end(self, *_: Any) -> None:
        """Stop the clock."""
        self._last = None
