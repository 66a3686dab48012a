"""Periodic check that all ranks hold the same memory."""

from typing import Any

import pytorch_lightning as pl
import torch

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.lifecycle.memory_digest import memory_digests
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.utils.distributed import gather_rows, world


class ReplicaCheck(pl.Callback):
    """Compare digests of the ranks' memories, and raise an error if they differ.

    With one rank it does nothing.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        """Set how often to compare.

        Args:
            every_n_steps: interval in optimiser steps.

        Raises:
            ValueError: if ``every_n_steps`` is less than 1.
        """
        if every_n_steps < 1:
            raise ValueError(
                f"callbacks.replica_check.every_n_steps={every_n_steps}; expected 1 or more"
            )
        self.every_n_steps = every_n_steps
        self._agreed_at = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start from the current step: all ranks have loaded the same checkpoint, or none."""
        self._agreed_at = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Compare the digests every n steps.

        Raises:
            ValueError: on all ranks, if the memory of any rank differs from that of rank 0.
        """
        owner = find(trainer, SamplesMemory)
        step = trainer.global_step
        if (
            world()[1] == 1
            or owner is None
            or not owner.step_completed
            or step % self.every_n_steps
        ):
            return
        digests = memory_digests(owner.memory, step // self.every_n_steps)
        gathered = gather_rows(torch.stack(list(digests.values())))  # (ranks, digests)
        equal = (gathered == gathered[0]).all(dim=0).tolist()
        if not all(equal):
            names = [name for name, same in zip(digests, equal, strict=True) if not same]
            ranks = torch.nonzero((gathered != gathered[0]).any(dim=1)).flatten().tolist()
            raise ValueError(
                f"the memories of ranks 0 and {', '.join(map(str, ranks))} differ in "
                f"{', '.join(names)} at step {step}; they agreed at step {self._agreed_at}. "
                "Further training would be wrong: resume from the last checkpoint "
                "(train.resume=auto and this run's hydra.run.dir), with the same software and kind "
                "of device on every rank"
            )
        self._agreed_at = step
