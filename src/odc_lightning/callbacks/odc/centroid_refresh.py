"""The centroids memory follows the samples memory, every k iterations (Sec. 3.1)."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.memory import Clusters
from odc_lightning.utils.distributed import broadcast


class CentroidRefresh(pl.Callback):
    """Set centroids to the means of their members after every k-th optimiser step.

    Each epoch logs ``odc/centroid_drift``, how far the last refresh moved the centroids, and
    ``odc/running_sum_error``, how far the running sums were off before exact ones replace them.
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
        self.drift: Tensor | None = None  # of the last refresh, 0-dim

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Refresh if the step that has just ended is a k-th one."""
        owner = SamplesMemory.of(trainer)
        if owner.step_completed and trainer.global_step % self.every_n_steps == 0:
            memory = owner.memory
            # Means are sums of floats: rank 0's count, so that replicas stay equal to the bit.
            centroids = broadcast(memory.refreshed_centroids(self.clusters))
            self.drift = memory.set_centroids(centroids)
            memory.involved.zero_()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take away what rounding has added to the running sums, and report."""
        error = SamplesMemory.of(trainer).memory.recompute()
        pl_module.log("odc/running_sum_error", error)
        if self.drift is not None:
            pl_module.log("odc/centroid_drift", self.drift)

    def state_dict(self) -> dict[str, Any]:
        """For an epoch that is logged after a resume, with no refresh in between."""
        return {"drift": self.drift}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it over."""
        self.drift = state_dict["drift"]
