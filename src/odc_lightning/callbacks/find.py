"""How one callback finds another."""

from typing import TypeVar

import pytorch_lightning as pl

C = TypeVar("C", bound=pl.Callback)


def find(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """The trainer's first callback of a kind, or None."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)
