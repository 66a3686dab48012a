"""Ranks that end when the process that started them has died."""

import os
import sys
import threading
import time

import pytorch_lightning as pl
from lightning_fabric.plugins.environments import LightningEnvironment


def watch_rank_zero(trainer: pl.Trainer, every: float = 5.0) -> None:
    """End this process if rank 0, which started it, dies.

    Lightning starts the other ranks of a machine as children of rank 0, and ends all if one of them
    fails. It does not notice if rank 0 itself is killed or fails alone; under NCCL the others would
    wait in a collective for half an hour.

    Args:
        trainer: of the run. On rank 0, and where another program starts all ranks, nothing is
            watched.
        every: seconds between two looks.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if isinstance(environment, LightningEnvironment) and trainer.local_rank > 0:
        watch_parent(every)


def watch_parent(every: float) -> None:
    """End this process if its parent dies, by a thread that looks every few seconds."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        print("rank 0 has died; see its message above", file=sys.stderr, flush=True)
        os._exit(1)  # the main thread may wait in a collective that never ends

    threading.Thread(target=watch, daemon=True).start()
