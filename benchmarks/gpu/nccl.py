"""Section ``nccl``: trainings of one rank that go through all collectives, by NCCL.

In a dry run they go through gloo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import torch.distributed as dist

from benchmarks.gpu.one_rank import all_collectives
from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import DIGITS, NARROW, NO_KNN, PATCHES, clusters, small_run

DDP = (
    "trainer.strategy=ddp",
    "callbacks.replica_check.every_n_steps=2",
    "callbacks.graceful_stop.every_n_steps=2",
)


def cases(dry_run: bool) -> dict[str, tuple[str, ...]]:
    """Overrides of the config by the training's name."""
    odc = (*DIGITS, clusters(dry_run), NO_KNN)
    small = ("experiment=odc_small", "data=digits", "model=convnet", NARROW, clusters(dry_run))
    # torch's synchronised batch normalisation needs a GPU.
    synchronised = () if dry_run else ("trainer.sync_batchnorm=true",)
    return {
        "odc": odc,
        "odc, features in RAM": (*odc, "algorithm.samples_memory.place=ram"),
        "odc_small, probe": (*small, "callbacks=online_probe"),
        "odc_small, guard": (*small, "data.held_back=0.1"),
        "deepcluster": (*odc, "algorithm=deepcluster"),
        "deepcluster_v2": (*odc, "algorithm=deepcluster_v2"),
        "rotation": (*DIGITS, "algorithm=rotation"),
        "resnet18, bf16-mixed, synchronised batch normalisation": (
            *PATCHES,
            "model=resnet18",
            clusters(dry_run),
            "trainer.precision=bf16-mixed",
            *synchronised,
        ),
    }


def measure(dry_run: bool) -> Iterator[Row]:
    """A row for each training."""
    for name, overrides in cases(dry_run).items():
        work = partial(trained, dry_run, *overrides)
        yield attempt("One rank through all collectives", name, work)


def trained(dry_run: bool, *overrides: str) -> Values:
    """Run one training, and leave no group of processes behind."""
    try:
        with all_collectives(), patch.dict(os.environ):  # Lightning sets address and port there
            values = small_run(dry_run, *overrides, *DDP)
        return {**values, "backend": dist.get_backend()}
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
