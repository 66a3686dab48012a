"""Training speed in images per second, without validation and other breaks."""

from time import perf_counter
from typing import Any

import pytorch_lightning as pl


class Throughput(pl.Callback):
    """Count the images of all ranks and the time spent on them.

    The time runs from the start of the first batch of an epoch to the end of its last one, and
    includes waiting for data. The bootstrap, validation and the work at the end of an epoch are
    excluded.

    Attributes:
        num_images: number of images over all ranks, since training started or was resumed.
        seconds: time spent on these images.
    """

    def __init__(self) -> None:
        """Start with zero images and seconds."""
        self.num_images = 0
        self.seconds = 0.0
        self._last: float | None = None

    @property
    def images_per_second(self) -> float | None:
        """Mean speed since training started or was resumed; None before the first batch."""
        return self.num_images / self.seconds if self.seconds > 0 else None

    def on_train_batch_start(self, *_: Any) -> None:
        """Add the wait for this batch, unless the clock was stopped."""
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
        """Add the batch's images and time."""
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
