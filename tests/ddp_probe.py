"""What runs inside the processes of the tests with several ranks; importable by name."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from odc_lightning import distributed
from odc_lightning.callbacks import (
    Pretext,
    PrototypeClustering,
    PseudoLabels,
    ReplicaCheck,
    SamplesMemory,
)
from odc_lightning.callbacks.loss_reweighting import normalized
from odc_lightning.memory import ClusterMemory
from odc_lightning.module import ODCModule


def run_ranks(worker: Callable[[int, str], None], world_size: int, folder: Path) -> list[Any]:
    """Run ``worker(rank, folder)`` in gloo processes; returns what each saved as ``<rank>.pt``."""
    mp.spawn(_start, (worker, world_size, str(folder)), nprocs=world_size)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world_size)]


def _start(rank: int, worker: Callable[[int, str], None], world_size: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
    worker(rank, folder)
    dist.barrier()  # a rank that leaves early can make the others wait for it for ever
    dist.destroy_process_group()


def collectives(rank: int, folder: str) -> None:
    """Each collective once, with batches of rank + 1 samples."""
    size = rank + 1
    indices = 2**40 + 10 * rank + torch.arange(size)  # beyond what fp32 and int32 can hold
    features = torch.full((size, 3), rank + 0.1)
    labels = torch.full((size,), rank)
    rows = torch.zeros(7, 2)
    rows[distributed.shard(7, rank, distributed.world()[1])] = rank + 1.0
    distributed.share_rows(rows)
    weights = torch.arange(1.0, size + 1) + rank
    state = {
        "world": torch.tensor(distributed.world()),
        "gathered": list(distributed.all_gather_batch(indices, features, labels)),
        "rows": rows,
        "sum": distributed.sum_over_ranks(torch.tensor(float(rank))),
        "decided": torch.tensor(distributed.from_rank_zero(lambda: 17 + rank)),
        "broadcast": distributed.broadcast(torch.tensor([float(rank)])),
        "raw_weights": weights,
        "weights": normalized(weights),
    }
    try:
        distributed.from_rank_zero(_refuse)
    except ValueError as error:
        state["refusal"] = str(error)
    torch.save(state, f"{folder}/{rank}.pt")


def _refuse() -> None:
    raise ValueError("not these features")


class DumpMemory(pl.Callback):
    """Write this rank's memory and weights at the end of training."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.indices: list[torch.Tensor] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.indices.append(batch["index"])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        owner = PseudoLabels.find(trainer)
        assert owner is not None
        memory = owner.memory.state_dict() if isinstance(owner, SamplesMemory) else {}
        state = {
            **memory,
            "labels": owner.labels,
            "distances": owner.distances(),
            "indices": torch.cat(self.indices),
            "head": ODCModule.of(pl_module).head.state_dict(),
            "pid": torch.tensor(os.getpid()),
        }
        torch.save(state, self.folder / f"rank{trainer.global_rank}.pt")


class DumpPrototypes(pl.Callback):
    """Write this rank's DeepCluster-v2 clustering at the end of training."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        owner = PseudoLabels.find(trainer)
        assert isinstance(owner, PrototypeClustering)
        state = {**owner.state_dict(), "prototypes": pl_module.state_dict()["head.prototypes"]}
        torch.save(state, self.folder / f"rank{trainer.global_rank}.pt")


class DumpTask(pl.Callback):
    """Save what this rank's `Pretext` has set: the task's own numbers, and each image's target."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.targets: dict[int, float] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        sums = batch["target"].reshape(len(batch["index"]), -1).double().sum(dim=1)
        self.targets.update(zip(batch["index"].tolist(), sums.tolist(), strict=True))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        task = Pretext.find(trainer)
        assert task is not None
        known: dict[str, Any] = vars(task)
        kept: dict[str, Any] = {
            name: known[name] for name in ("permutations", "weights") if name in known
        }
        scores = {name: v for name, v in trainer.callback_metrics.items() if "eval/" in name}
        state: dict[str, Any] = {"targets": self.targets, "chance": task.chance, **kept, **scores}
        torch.save(state, self.folder / f"rank{trainer.global_rank}.pt")


def diverging(rank: int, folder: str) -> None:
    """A memory of which rank 2 moves a sample by itself, between two checks."""
    check = ReplicaCheck(every_n_steps=10)
    owner = SamplesMemory()
    owner.memory = ClusterMemory(12, 3, 2)
    owner.memory.features.copy_(torch.arange(24.0).view(12, 2))
    owner.memory.initialize(torch.arange(12) % 3)
    owner.step_completed = True
    refusal = ""
    for step in range(1, 40):
        if rank == 2 and step == 15:
            owner.memory.labels[0] = 1
            owner.memory.counts += torch.tensor([-1, 1, 0])
        trainer: Any = SimpleNamespace(callbacks=[owner], global_step=step)
        try:
            check.on_train_batch_end(trainer)
        except ValueError as error:
            refusal = str(error)
            break
    torch.save({"refusal": refusal}, f"{folder}/{rank}.pt")
