"""Refresh of the centroids memory from the samples memory, every k iterations (Sec. 3.1)."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.memory import Clusters


class CentroidRefresh(pl.Callback):
    """Set centroids to the means of their members after every k-th optimiser step.

    Logs ``odc/centroid_drift`` each epoch, the mean L2 distance by which the last refresh moved the
    centroids.
    """

    def __init__(self, every_n_steps: int = 10, clusters: Clusters = "involved") -> None:
        """Set how often to refresh, and which clusters.

        Args:
            every_n_steps: k, in optimiser steps.
            clusters: ``"involved"``, the clusters that a member joined or left since the last
                refresh (the paper), or ``"all"`` (the authors' code).

        Raises:
            ValueError: if k < 1, or ``clusters`` is neither ``"involved"`` nor ``"all"``.
        """
        if every_n_steps < 1:
            raise ValueError(
                f"algorithm.centroid_refresh.every_n_steps={every_n_steps}; expected 1 or more"
            )
        if clusters not in ("involved", "all"):
            raise ValueError(
                f"algorithm.centroid_refresh.clusters={clusters}; expected involved or all"
            )
        self.every_n_steps = every_n_steps
        self.clusters = clusters
        self.drift: Tensor | None = None  # 0-dim, of the last refresh

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Refresh the centroids if the number of completed steps is a multiple of k."""
        owner = SamplesMemory.of(trainer)
        if owner.step_completed and trainer.global_step % self.every_n_steps == 0:
            memory = owner.memory
            self.drift = memory.set_centroids(memory.refreshed_centroids(self.clusters))
            memory.involved.zero_()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the drift of the last refresh."""
        if self.drift is not None:
            pl_module.log("odc/centroid_drift", self.drift)

    def state_dict(self) -> dict[str, Any]:
        """Return the last drift, which a resumed epoch logs if it has no further refresh."""
        return {"drift": self.drift}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the last drift."""
        self.drift = state_dict["drift"]
