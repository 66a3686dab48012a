"""The centroids memory follows the samples memory, every k iterations (Sec. 3.1)."""

from typing import Any

import pytorch_lightning as pl

from odc_lightning.callbacks.samples_memory import SamplesMemory
from odc_lightning.distributed import broadcast
from odc_lightning.memory import Clusters


class CentroidRefresh(pl.Callback):
    """Set centroids to the means of their members after every k-th optimiser step.

    At each epoch's end the running sums are replaced by an exact recomputation, and the difference
    is logged: ``odc/centroid_drift`` and ``odc/running_sum_error``.
    """

    def __init__(self, every_n_steps: int = 10, clusters: Clusters = "involved") -> None:
        """Choose when and what.

        Args:
            every_n_steps: k, in optimiser steps.
            clusters: ``"involved"``, those that a member joined or left since the last refresh
                (the paper), or ``"all"`` (the authors' code).

        Raises:
            ValueError: if k < 1 or ``clusters`` is neither.
        """
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}")
        if clusters not in ("involved", "all"):
            raise ValueError(f"clusters must be 'involved' or 'all', got {clusters!r}")
        self.every_n_steps = every_n_steps
        self.clusters = clusters

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Refresh if the step that has just ended is a k-th one."""
        owner = SamplesMemory.of(trainer)
        if owner.step_completed and trainer.global_step % self.every_n_steps == 0:
            memory = owner.memory
            # Means are sums of floats: rank 0's count, so that replicas stay equal to the bit.
            memory.set_centroids(broadcast(memory.refreshed_centroids(self.clusters)))
            memory.involved.zero_()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take away what rounding has added to the running sums, and report it."""
        found = SamplesMemory.of(trainer).memory.recompute()
        pl_module.log("odc/centroid_drift", found.centroid_drift)
        pl_module.log("odc/running_sum_error", found.running_sum_error)
