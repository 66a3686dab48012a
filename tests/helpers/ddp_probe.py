"""What runs inside the processes of the tests with several ranks; importable by name."""

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn.functional import normalize

from helpers.paths import TESTS
from helpers.processes import run_python
from helpers.tiny import tiny_module
from odc_lightning.callbacks import (
    CentroidRefresh,
    FiniteCheck,
    KeepBest,
    Pretext,
    PrototypeClustering,
    PseudoLabels,
    ReplicaCheck,
    SamplesMemory,
    SmallClusters,
    find,
)
from odc_lightning.callbacks.odc.loss_reweighting import normalized
from odc_lightning.memory import ClusterMemory
from odc_lightning.module import ODCModule
from odc_lightning.utils import distributed


def run_ranks(worker: Callable[[int, str], None], world_size: int, folder: Path) -> list[Any]:
    """Run ``worker(rank, folder)`` in gloo processes; returns what each saved as ``<rank>.pt``.

    The worker is a function of this module.
    """
    words = ("-m", "helpers.ddp_probe", worker.__name__, str(world_size), str(folder))
    done = run_python(*words, cwd=folder, environment={"PYTHONPATH": str(TESTS)})
    assert done.returncode == 0, done.stdout + done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world_size)]


def _fork_ranks(worker: str, world_size: str, folder: str) -> None:
    """All ranks, forked from this process, which has done nothing else."""
    ranks = int(world_size)
    arguments = (globals()[worker], ranks, folder)
    mp.start_processes(_start, arguments, nprocs=ranks, start_method="fork")


def _start(rank: int, worker: Callable[[int, str], None], world_size: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
    worker(rank, folder)
    dist.barrier()  # a rank that leaves early can make the others wait for it for ever
    dist.destroy_process_group()


def collectives(rank: int, folder: str) -> None:
    """Each collective once, with batches of two samples."""
    size = 2
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


class DumpKept(pl.Callback):
    """Write what this rank's `KeepBest` has put back at the end of the run."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        keep = find(trainer, KeepBest)
        assert keep is not None
        torch.save(keep.state_dict(), self.folder / f"kept{trainer.global_rank}.pt")


class SynchronisedNorm(pl.Callback):
    """Gives the network batch normalisation over all ranks; torch's own asks for a GPU."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for module in list(pl_module.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                    setattr(module, name, NormOverRanks(child))


class SumOverRanks(torch.autograd.Function):
    """Each rank's gradient is that of the loss of all ranks."""

    @staticmethod
    def forward(ctx: Any, own: torch.Tensor) -> torch.Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class NormOverRanks(torch.nn.Module):
    """Batch normalisation by its definition, with sums over all ranks that gradients follow."""

    def __init__(self, norm: torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        norm = self.norm
        if not self.training:
            return norm(inputs)
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        total = torch.tensor(float(inputs.numel() // inputs.shape[1]))
        sums = torch.cat([inputs.sum(axes), inputs.square().sum(axes), total.view(1)])
        if dist.is_initialized():
            sums = SumOverRanks.apply(sums)
        first, second = sums[:-1].chunk(2)
        mean, variance = first / sums[-1], second / sums[-1] - (first / sums[-1]).square()
        with torch.no_grad():
            unbiased = variance * sums[-1] / (sums[-1] - 1)
            for kept, new in ((norm.running_mean, mean), (norm.running_var, unbiased)):
                assert kept is not None
                assert norm.momentum is not None
                kept.lerp_(new, norm.momentum)
        shape = [1, -1] + [1] * (inputs.ndim - 2)
        unit = (inputs - mean.view(shape)) / (variance.view(shape) + norm.eps).sqrt()
        return unit * norm.weight.view(shape) + norm.bias.view(shape) if norm.affine else unit


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


def soak(rank: int, folder: str, steps: int = 3000, num_samples: int = 400) -> None:
    """Random batches of any size; splits; now and then a state goes out and in.

    Each rank adds rows in another order, as GPUs do. The features are of such different sizes that
    sums in double precision would depend on the order.
    """
    in_order = torch.Tensor.index_add_

    def index_add_(
        sums: Tensor, dim: int, index: Tensor, rows: Tensor, *, alpha: int = 1
    ) -> Tensor:
        order = torch.arange(len(index)).roll(rank)
        return in_order(sums, dim, index[order], rows[order], alpha=alpha)

    torch.Tensor.index_add_ = index_add_  # type: ignore[method-assign, assignment]
    shared, own = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2 + rank)
    owner, refresh, small = SamplesMemory(), CentroidRefresh(), SmallClusters(threshold=10)
    memory = owner.memory = ClusterMemory(num_samples, 20, 8)
    first = torch.randn(num_samples, 8, generator=shared) ** 9
    memory.features.copy_(normalize(first, dim=1))
    memory.initialize(torch.arange(num_samples) % 20)
    owner._global_step = sum_of_splits = empty = 0
    module = tiny_module(20)
    sizes: list[int] = []
    for step in range(1, steps + 1):
        size = int(torch.randint(0, 10, (), generator=shared))
        empty += size == 0
        owner._indices = torch.randint(0, num_samples, (size,), generator=own)
        moving = 2 * torch.eye(8)[step // 100 % 8]
        module.step_features = torch.randn(size, 8, generator=own) ** 9 + moving
        trainer: Any = SimpleNamespace(callbacks=[owner, refresh, small], global_step=step)
        owner.on_before_backward(trainer, module, torch.zeros(()))
        small.on_before_backward(trainer)
        owner.on_train_batch_end(trainer)
        refresh.on_train_batch_end(trainer)
        small.on_train_batch_end(trainer)
        sum_of_splits += small.num_splits
        if step % 500 == 0:
            memory.load_state_dict({name: v.clone() for name, v in memory.state_dict().items()})
        if step % 25 == 0:
            sizes.append(resident_bytes())
    state = {"splits": sum_of_splits, "empty": empty, "sizes": torch.tensor(sizes)}
    torch.save({"memory": memory.state_dict(), **state}, f"{folder}/{rank}.pt")


def short_soak(rank: int, folder: str) -> None:
    """The first steps of `soak`."""
    soak(rank, folder, steps=200)


def patient(rank: int, folder: str) -> None:
    """Rank 0 takes longer to decide than a collective of the training's group may last."""

    def decide() -> str:
        time.sleep(3)
        return "decided"

    distributed.from_rank_zero(lambda: None)  # connects the ranks, which takes its time
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=1))
    decision = distributed.from_rank_zero(decide)
    dist.distributed_c10d._set_pg_timeout(timedelta(minutes=30))
    torch.save({"decision": decision}, f"{folder}/{rank}.pt")


def bad_loss(rank: int, folder: str) -> None:
    """Rank 1 has a NaN loss, and takes its time to save network and batch."""
    check, module = FiniteCheck(f"{folder}/not_finite"), tiny_module(4)
    trainer: Any = SimpleNamespace(global_step=3, current_epoch=0, global_rank=rank)
    check.on_train_batch_start(trainer, module, {"index": torch.arange(2)}, 0)
    check.on_before_backward(trainer, module, torch.tensor(float("nan") if rank else 1.0))
    save = torch.save

    def slow_save(*arguments: Any) -> None:
        time.sleep(2)
        save(*arguments)

    torch.save = slow_save  # type: ignore[assignment]
    try:
        check.on_after_backward(trainer, module)
    except ValueError as error:
        saved = Path(folder, "not_finite", "step_3_rank_1.pt").is_file()
        save({"error": str(error), "saved": saved}, f"{folder}/{rank}.pt")


def resident_bytes() -> int:
    """The size of this process in memory, as Linux tells it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    _fork_ranks(*sys.argv[1:])
