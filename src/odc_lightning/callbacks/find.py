"""Look-up of one callback by another."""

from typing import TypeVar

import pytorch_lightning as pl

C = TypeVar("C", bound=pl.Callback)


def find(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """Return the trainer's first callback of a class, or None if it has none."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)
