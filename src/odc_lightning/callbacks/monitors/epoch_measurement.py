"""What the callbacks that measure the network after epochs have in common: they take time."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytorch_lightning as pl


class EpochMeasurement(pl.Callback):
    """Base class of callbacks that measure the network before training and every n epochs.

    Attributes:
        every_n_epochs: interval in epochs.
        first_seconds: that the measurement before training took; 0 in a resumed run, which has
            none. Those after epochs take about as long.
    """

    every_n_epochs: int = 1
    first_seconds = 0.0

    @contextmanager
    def first(self) -> Iterator[None]:
        """Time the measurement before training."""
        started = monotonic()
        yield
        self.first_seconds = monotonic() - started


def expected_break(trainer: pl.Trainer) -> float:
    """Seconds of all measurements after an epoch, as a mean over epochs, before there was one."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    measuring = [callback for callback in callbacks if isinstance(callback, EpochMeasurement)]
    return sum(callback.first_seconds / callback.every_n_epochs for callback in measuring)
