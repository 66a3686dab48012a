"""Handling of small clusters after each iteration (Sec. 3.2)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.odc.held_back import has_held_back
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.clustering import (
    MovedHalf,
    Relabelling,
    check_num_clusters,
    plan_relabelling,
)
from odc_lightning.memory import ClusterMemory
from odc_lightning.utils.distributed import from_rank_zero
from odc_lightning.utils.fetched import Fetched


class SmallClusters(pl.Callback):
    """Empty each small cluster, and refill it with one half of the largest cluster.

    Attributes:
        num_splits: number of clusters that were split after the last step.
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
            threshold: clusters of at most this size are small (20 in the paper). The authors' code
                compares with "less than 20", which is 19 here.
            repeat: repeat until no cluster is small (the paper), or do one round (the authors'
                code).
            moved_half: ``"random"`` (the paper) or ``"first"`` (the authors' code).
            seed: seed of all random numbers, together with the number of the step.

        Raises:
            ValueError: if the threshold is negative, or ``moved_half`` is unknown.
        """
        if threshold < 0:
            raise ValueError(f"algorithm.small_clusters.threshold={threshold}; expected 0 or more")
        if moved_half not in ("random", "first"):
            raise ValueError(
                f"algorithm.small_clusters.moved_half={moved_half}; expected random or first"
            )
        self.threshold = threshold
        self.repeat = repeat
        self.moved_half = moved_half
        self.seed = seed
        self.num_splits = 0
        self._any_small: Fetched | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check the threshold before training starts.

        Raises:
            ValueError: if N is too small for C clusters above the threshold.
        """
        if stage == "fit":
            memory = SamplesMemory.of(trainer).memory
            check_num_clusters(memory.num_samples, memory.num_clusters, self.threshold)

    def on_before_backward(self, trainer: pl.Trainer, *_: Any) -> None:
        """Ask whether the batch has made a cluster small; the answer arrives during the step."""
        self._any_small = Fetched(self._small(SamplesMemory.of(trainer).memory).any())

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Remove small clusters after each optimiser step; O(C) if none is small."""
        owner = SamplesMemory.of(trainer)
        if not owner.step_completed or self._any_small is None:
            return
        self.num_splits = 0
        if self._any_small.value():
            self.num_splits = self._repair(owner.memory, (self.seed, trainer.global_step))

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Remove small clusters that held-back images have left at the end of the epoch."""
        if has_held_back(trainer):
            memory = SamplesMemory.of(trainer).memory
            if self._small(memory).any():
                self._repair(memory, (self.seed, trainer.global_step, 1))

    def _small(self, memory: ClusterMemory) -> Tensor:
        """Which clusters are small, (C,) bool; sizes are equal on all ranks, so the answer is."""
        small = memory.counts <= self.threshold
        return small if memory.constraints is None else small & ~memory.constraints.owned

    def _repair(self, memory: ClusterMemory, seed: Sequence[int]) -> int:
        """Remove small clusters, and return the number of those that were split."""
        rng = np.random.default_rng(seed)
        plan = from_rank_zero(lambda: self._plan(memory, rng))
        device = memory.labels.device
        memory.relabel(plan.indices.to(device), plan.labels.to(device))
        clusters = plan.clusters.to(device)
        memory.set_centroids(memory.refreshed_centroids(clusters))
        memory.offsets[clusters] = 0  # the offsets were computed for the previous members
        return plan.num_splits

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
            constraints=memory.constraints,
        )
