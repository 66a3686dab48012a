"""A step makes the host wait for the device where it must, and nowhere else."""

import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning import callbacks
from odc_lightning.clustering import loss_weights
from odc_lightning.memory import ClusterMemory

# What a GPU's host can only go on from once it knows numbers that are on the GPU.
WAITS = {
    getattr(torch.ops.aten, name).default
    for name in (
        "_local_scalar_dense",
        "nonzero",
        "_unique2",
        "unique_consecutive",
        "masked_select",
        "equal",
        "bincount",
    )
}


class Waits(TorchDispatchMode):
    """Counts what would make a host wait, by the file of the package or of Lightning it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        by_mask = func is torch.ops.aten.index.Tensor and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if func in WAITS or by_mask:
            frames = [Path(frame.filename) for frame in traceback.extract_stack()]
            ours = [file.stem for file in frames if {"odc_lightning", "optim"} & set(file.parts)]
            lightnings = [file.stem for file in frames if "pytorch_lightning" in file.parts]
            self.found[(ours or lightnings or ["unknown"])[-1]] += 1
        return func(*args, **(kwargs or {}))


class Watch(pl.Callback):
    """Counts waits from one step's end to a later one's, in the middle of an epoch."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop, self.waits = start, stop, Waits()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.start:
            self.waits.__enter__()
        if trainer.global_step == self.stop:
            self.waits.__exit__(None, None, None)


@pytest.mark.parametrize("finite_check", [True, False])
def test_a_step_waits_for_the_loss_and_for_small_clusters_alone(
    tmp_path: Path, finite_check: bool
) -> None:
    watch = Watch(5, 9)
    parts = [
        callbacks.SamplesMemory(),
        callbacks.KMeansBootstrap(),
        callbacks.LossReweighting(),
        callbacks.CentroidRefresh(2),
        callbacks.SmallClusters(2),
        callbacks.LabelSwitchMonitor(),
        callbacks.ClusterSizeMonitor(),
        callbacks.FeatureRank(),
        callbacks.HealthMonitor(),
        callbacks.GracefulStop(),
        callbacks.Throughput(),
        watch,
    ]
    if finite_check:
        parts.append(callbacks.FiniteCheck(str(tmp_path)))
    trainer = tiny_trainer(callbacks.in_order(parts), max_steps=12, log_every_n_steps=1000)
    trainer.fit(tiny_module(4), datamodule=TinyData(480, 16))
    expected = {"small_clusters": 4, **({"finite_check": 4} if finite_check else {})}
    assert dict(watch.waits.found) == expected


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("place", ["cuda", "cpu"])
def test_the_memory_of_a_gpu_knows_where_its_features_are(place: str, precision: str) -> None:
    """On tensors that only say where they are: they refuse what would wait, or mixes devices."""
    with FakeTensorMode():
        features = torch.zeros(500, 8, device=place, dtype=getattr(torch, precision))
        memory = ClusterMemory(500, 10, 8, device="cuda", features=features)
        indices = torch.zeros(16, dtype=torch.int64, device="cuda")
        weights = loss_weights(memory.counts[memory.labels[indices]])
        new, labels = memory.propose(indices, torch.zeros(16, 8, device="cuda"))
        ratio = memory.write(indices, new, labels)
        memory.set_centroids(memory.refreshed_centroids("involved"))
        offsets = memory.balanced_offsets(0.1, 3, indices)
        distances = memory.distances()
        for given in (weights, new, labels, ratio, memory.centroids, offsets, distances):
            assert given.device.type == "cuda"
        assert memory.features.device.type == place
