"""Where a run stands, in words: epoch, numbers of this moment."""

from collections.abc import Mapping

import pytorch_lightning as pl
from torch import Tensor


def epoch_of(trainer: pl.Trainer) -> str:
    """``epoch 3/25``, or ``epoch 3`` if their number is not bounded."""
    number, last = trainer.current_epoch + 1, trainer.max_epochs
    bounded = last is not None and last > 0
    return f"epoch {number}/{last}" if bounded else f"epoch {number}"


def status_line(metrics: Mapping[str, Tensor | float], images_per_second: float | None) -> str:
    """``loss 2.41  switch 0.31  clusters 22-87  5,120 images/s``, of what is known."""
    parts = []
    if "train/loss" in metrics:
        parts.append(f"loss {float(metrics['train/loss']):.2f}")
    if "train/accuracy" in metrics:
        parts.append(f"accuracy {float(metrics['train/accuracy']):.2f}")
    if "odc/label_switch_ratio" in metrics:
        parts.append(f"switch {float(metrics['odc/label_switch_ratio']):.2f}")
    if "odc/cluster_size_min" in metrics and "odc/cluster_size_max" in metrics:
        smallest, largest = metrics["odc/cluster_size_min"], metrics["odc/cluster_size_max"]
        parts.append(f"clusters {int(smallest):,}-{int(largest):,}")
    if images_per_second is not None:
        parts.append(f"{images_per_second:,.0f} images/s")
    return "  ".join(parts)
