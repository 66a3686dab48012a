"""Clusters of about equal size, by offsets to the scores that decide on labels."""

from typing import Any

import pytorch_lightning as pl
import torch

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.memory import ClusterMemory
from odc_lightning.utils.distributed import broadcast


class BalancedClusters(pl.Callback):
    """Every k-th optimiser step, set the offsets under which the memory spreads over all clusters.

    Where large clusters grow (bright images, say, on a small data set), they get dearer. Labels are
    not moved by this, only decided otherwise from then on.
    """

    def __init__(
        self,
        every_n_steps: int = 10,
        temperature: float = 0.05,
        iterations: int = 3,
        max_samples: int = 4096,
    ) -> None:
        """Choose when and how exactly.

        Args:
            every_n_steps: k, in optimiser steps.
            temperature: T, see `odc_lightning.clustering.balancing_offsets`.
            iterations: of Sinkhorn and Knopp.
            max_samples: how many samples of the memory to look at; others each time.

        Raises:
            ValueError: if one of them is too small.
        """
        for name, value in {
            "every_n_steps": every_n_steps,
            "iterations": iterations,
            "max_samples": max_samples,
        }.items():
            if value < 1:
                raise ValueError(f"algorithm.balanced_clusters.{name}={value}; expected 1 or more")
        if temperature <= 0:
            raise ValueError(
                f"algorithm.balanced_clusters.temperature={temperature}; expected more than 0"
            )
        self.every_n_steps = every_n_steps
        self.temperature = temperature
        self.iterations = iterations
        self.max_samples = max_samples

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Balance the bootstrap's clusters, unless a run is continued."""
        if trainer.global_step == 0:
            self._balance(SamplesMemory.of(trainer).memory, 0)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Balance if the step that has just ended is a k-th one."""
        owner = SamplesMemory.of(trainer)
        if owner.step_completed and trainer.global_step % self.every_n_steps == 0:
            self._balance(owner.memory, trainer.global_step)

    def _balance(self, memory: ClusterMemory, step: int) -> None:
        # Evenly spaced samples, from another start each time; no random numbers.
        stride = -(-memory.num_samples // self.max_samples)
        device = memory.labels.device
        rows = torch.arange(step // self.every_n_steps % stride, memory.num_samples, stride)
        offsets = memory.balanced_offsets(self.temperature, self.iterations, rows.to(device))
        # Sums of floats: rank 0's, so that replicas stay equal to the bit.
        memory.offsets.copy_(broadcast(offsets))
