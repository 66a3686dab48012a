"""Balanced cluster sizes, by offsets added to the scores before labels are assigned."""

from typing import Any

import pytorch_lightning as pl
import torch

from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.memory import ClusterMemory
from odc_lightning.utils.distributed import broadcast


class BalancedClusters(pl.Callback):
    """Recompute the offsets that balance the cluster sizes, every k optimiser steps.

    Large clusters are penalised, which keeps them from growing further (for example, clusters of
    bright images in a small data set). Existing labels do not change; the offsets apply to later
    assignments.
    """

    def __init__(
        self,
        every_n_steps: int = 10,
        temperature: float = 0.05,
        iterations: int = 3,
        max_samples: int = 4096,
    ) -> None:
        """Set how often and how precisely clusters are balanced.

        Args:
            every_n_steps: k, in optimiser steps.
            temperature: T, see `odc_lightning.clustering.balancing_offsets`.
            iterations: number of Sinkhorn-Knopp iterations.
            max_samples: maximum number of samples from which offsets are estimated; a different
                part of the memory each time.

        Raises:
            ValueError: if an integer is less than 1, or the temperature is not positive.
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
        """Balance the clusters of the bootstrap, unless the run is resumed."""
        if trainer.global_step == 0:
            self._balance(SamplesMemory.of(trainer).memory, 0)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Balance the clusters if the number of completed steps is a multiple of k."""
        owner = SamplesMemory.of(trainer)
        if owner.step_completed and trainer.global_step % self.every_n_steps == 0:
            self._balance(owner.memory, trainer.global_step)

    def _balance(self, memory: ClusterMemory, step: int) -> None:
        # Evenly spaced samples, with another first sample each time: no random numbers are drawn.
        stride = -(-memory.num_samples // self.max_samples)
        device = memory.labels.device
        rows = torch.arange(step // self.every_n_steps % stride, memory.num_samples, stride)
        offsets = memory.balanced_offsets(self.temperature, self.iterations, rows.to(device))
        # Sums of floats differ between ranks by rounding; rank 0's keep replicas equal bit for bit.
        memory.offsets.copy_(broadcast(offsets))
