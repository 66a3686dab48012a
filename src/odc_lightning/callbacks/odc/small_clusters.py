"""Dealing with small clusters, after each iteration (Sec. 3.2)."""

from typing import Any

import numpy as np
import pytorch_lightning as pl

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.clustering import (
    MovedHalf,
    Relabelling,
    check_num_clusters,
    plan_relabelling,
)
from odc_lightning.memory import ClusterMemory
from odc_lightning.utils.distributed import broadcast, from_rank_zero


class SmallClusters(pl.Callback):
    """Empty the small clusters and give each a half of what is then the largest.

    Attributes:
        num_splits: how many clusters were split at the last step.
    """

    def __init__(
        self,
        threshold: int = 20,
        repeat: bool = True,
        moved_half: MovedHalf = "random",
        seed: int = 0,
    ) -> None:
        """Keep the settings of `odc_lightning.clustering.plan_relabelling`.

        Args:
            threshold: clusters of at most this size are small (the paper's 20). The authors' code
                has "less than 20": 19 here.
            repeat: until every cluster is normal (the paper), or one round (the authors' code).
            moved_half: ``"random"`` (the paper) or ``"first"`` (the authors' code).
            seed: with the number of the step, of everything drawn at random.

        Raises:
            ValueError: if the threshold is negative or ``moved_half`` is neither.
        """
        if threshold < 0:
            raise ValueError(f"the threshold of small clusters must be >= 0, got {threshold}")
        if moved_half not in ("random", "first"):
            raise ValueError(f"moved_half must be 'random' or 'first', got {moved_half!r}")
        self.threshold = threshold
        self.repeat = repeat
        self.moved_half = moved_half
        self.seed = seed
        self.num_splits = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse what cannot succeed, before training starts."""
        if stage == "fit":
            memory = SamplesMemory.of(trainer).memory
            check_num_clusters(memory.num_samples, memory.num_clusters, self.threshold)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """After each optimiser step; nothing of size N is touched unless there is a small one."""
        owner = SamplesMemory.of(trainer)
        if not owner.step_completed:
            return
        memory = owner.memory
        self.num_splits = 0
        # Sizes are integers and equal on all ranks, so all take the same branch.
        if not bool((memory.counts <= self.threshold).any()):
            return
        rng = np.random.default_rng([self.seed, trainer.global_step])
        plan = from_rank_zero(lambda: self._plan(memory, rng))
        device = memory.labels.device
        memory.relabel(plan.indices.to(device), plan.labels.to(device))
        clusters = plan.clusters.to(device)
        memory.set_centroids(broadcast(memory.refreshed_centroids(clusters)))
        memory.offsets[clusters] = 0  # what made them dear or cheap is gone
        self.num_splits = plan.num_splits

    def _plan(self, memory: ClusterMemory, rng: np.random.Generator) -> Relabelling:
        return plan_relabelling(
            memory.features,
            memory.labels,
            memory.counts,
            memory.centroids,
            threshold=self.threshold,
            rng=rng,
            repeat=self.repeat,
            moved_half=self.moved_half,
            metric=memory.assignment,
        )
