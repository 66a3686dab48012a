"""Section ``ranks``: two processes on one GPU stay equal to the bit.

They exchange tensors by gloo, since NCCL needs a GPU for each. `ReplicaCheck` compares their
memories every ten steps and ends both if any bit differs.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from functools import partial
from time import perf_counter

import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import composed
from benchmarks.processes import processes
from odc_lightning.train import train

RANKS = 2
SETTINGS = (
    "experiment=odc_digits",
    "trainer.devices=1",
    f"trainer.num_nodes={RANKS}",
    "trainer.strategy={_target_: pytorch_lightning.strategies.DDPStrategy, "
    "process_group_backend: gloo}",
    "data.batch_size=64",
    "data.num_workers=0",
    "model.backbone.width=8",
    "callbacks.label_scores.knn=false",
    "callbacks.replica_check.every_n_steps=10",
)
FULL = ("trainer.accelerator=gpu", "data.subset={num_images: 600}", "algorithm.num_clusters=12")
TINY = ("trainer.accelerator=cpu", "data.subset={num_images: 130}", "algorithm.num_clusters=5")


def measure(dry_run: bool) -> Iterator[Row]:
    """A short run, which shows that it works at all, and one with many splits and refreshes."""
    for epochs in (2,) if dry_run else (2, 45):
        work = partial(side_by_side, dry_run, epochs)
        yield attempt("Two ranks on one device", f"{epochs} epochs", work)


def side_by_side(dry_run: bool, epochs: int) -> Values:
    """Seconds of a training on two ranks; it fails if their memories differ."""
    start = perf_counter()
    processes()  # a context that has imported torch
    with tempfile.TemporaryDirectory() as folder:
        arguments = (dry_run, epochs, folder, free_port())
        mp.start_processes(_rank, arguments, nprocs=RANKS, start_method="forkserver")
    return {"seconds": perf_counter() - start}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _rank(rank: int, dry_run: bool, epochs: int, folder: str, port: int) -> None:
    """One of the ranks, each a node of its own to Lightning, with the same GPU."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(rank)}
    size = TINY if dry_run else FULL
    run = (f"run_dir={folder}", f"trainer.max_epochs={epochs}")
    train(composed("train", *SETTINGS, *size, *run))
    dist.barrier()  # a rank that leaves early can make the other wait for it for ever
    dist.destroy_process_group()
