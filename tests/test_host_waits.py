"""A step makes the host wait for the device where it must, and nowhere else."""

import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import Compose
from helpers.step_callbacks import step_callbacks
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning import callbacks
from odc_lightning.clustering import loss_weights
from odc_lightning.memory import ClusterMemory
from odc_lightning.pretext import gamut_bins
from odc_lightning.train import train
from odc_lightning.utils.fetched import Fetched

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
        "lift_fresh",  # numbers of the host become a tensor, which is copied to the device
    )
}


# Files that make batches, of numbers of the host.
LOADING = {"combined_loader", "dataset", "fast_normalize", "loader", "views_of_copies"}


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
            self.note()
        return func(*args, **(kwargs or {}))

    def note(self) -> None:
        """Count a wait of the file that is being run."""
        frames = [Path(frame.filename) for frame in traceback.extract_stack()]
        ours = [file.stem for file in frames if {"odc_lightning", "optim"} & set(file.parts)]
        lightnings = [file.stem for file in frames if "pytorch_lightning" in file.parts]
        where = (ours or lightnings or ["unknown"])[-1]
        if where not in LOADING:
            self.found[where] += 1


class Watch(pl.Callback):
    """Counts waits from one step's end to a later one's, in the middle of an epoch."""

    def __init__(self, start: int, stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.start, self.stop, self.waits = start, stop, Waits()
        self.watching = False
        for name in ("tolist", "cpu", "numpy"):  # on the CPU these reach no operation of torch
            monkeypatch.setattr(torch.Tensor, name, self.noted(getattr(torch.Tensor, name)))

    def noted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(tensor: torch.Tensor, *arguments: Any) -> Any:
            if self.watching:
                self.waits.note()
            return method(tensor, *arguments)

        return call

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.start:
            self.waits.__enter__()
            self.watching = True
        if trainer.global_step == self.stop:
            self.waits.__exit__(None, None, None)
            self.watching = False


@pytest.mark.parametrize("finite_check", [True, False])
def test_a_step_waits_for_what_it_has_asked_for_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finite_check: bool
) -> None:
    watch = Watch(5, 9, monkeypatch)
    parts = [*step_callbacks(), watch]
    if finite_check:
        parts.append(callbacks.FiniteCheck(str(tmp_path)))
    trainer = tiny_trainer(callbacks.in_order(parts), max_steps=12, log_every_n_steps=1000)
    trainer.fit(tiny_module(4), datamodule=TinyData(480, 16))
    # Numbers whose copy to the host was queued before the backward pass.
    assert dict(watch.waits.found) == {"fetched": 8 if finite_check else 4}


def test_what_a_step_waits_for_is_queued_before_the_backward_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is queued later would arrive after all gradients: the GPU would run dry."""
    asked: Counter[str] = Counter()
    queue = Fetched.__init__

    def noted(self: Fetched, tensor: torch.Tensor) -> None:
        hooks = [frame.name for frame in traceback.extract_stack() if frame.name.startswith("on_")]
        asked[hooks[-1]] += 1
        queue(self, tensor)

    monkeypatch.setattr(Fetched, "__init__", noted)
    clustering = [callbacks.SamplesMemory(), callbacks.KMeansBootstrap()]
    parts = [*clustering, callbacks.SmallClusters(2), callbacks.FiniteCheck(str(tmp_path))]
    trainer = tiny_trainer(callbacks.in_order(parts), max_steps=6)
    trainer.fit(tiny_module(4), datamodule=TinyData(480, 16))
    assert asked == {"on_before_backward": 12}


@pytest.mark.parametrize(
    "settings",
    [
        ("algorithm=odc", "algorithm.num_clusters=12", "algorithm.small_clusters.threshold=0"),
        ("experiment=odc_small", "data=digits", "model=convnet", "algorithm.num_clusters=12"),
        ("algorithm=odc_adapt", "algorithm.num_clusters=12"),
        ("algorithm=deepcluster", "algorithm.num_clusters=12"),
        ("algorithm=deepcluster_v2", "algorithm.num_clusters=12"),
        ("algorithm=rotation",),
        ("experiment=jigsaw_fashion_mnist", "data=digits"),
        ("algorithm=supervised", "algorithm.num_clusters=10"),
    ],
    ids=lambda settings: settings[0].partition("=")[2],
)
def test_a_step_of_any_algorithm_waits_for_nothing_else(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
) -> None:
    few = ("data.batch_size=32", "data.subset={num_images: 352}", "model.backbone.width=4")
    rare = ("trainer.log_every_n_steps=1000", "callbacks.label_scores.knn=false")
    data = () if "data=digits" in settings else ("data=digits",)
    config = compose_config(*settings, *data, *few, *rare, "trainer.max_epochs=1")
    watch = Watch(5, 9, monkeypatch)
    train(config, [watch])
    assert set(watch.waits.found) == {"fetched"}


def test_colorization_waits_for_nothing_after_its_first_batch() -> None:
    task = callbacks.Colorization()
    task.bins, task.weights, task._size = gamut_bins(), torch.ones(261), (2, 2)
    task._scales = {"train": (torch.tensor(0.5), torch.tensor(0.5))}
    images = torch.rand(2, 3, 8, 8)
    task.pose(images, torch.arange(2), "train", 0)
    with Waits() as waits:
        task.pose(images, torch.arange(2), "train", 0)
    assert not waits.found


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("place", ["cuda", "cpu"])
def test_the_memory_of_a_gpu_knows_where_its_features_are(
    place: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On tensors that only say where they are: they refuse what would wait, or mixes devices."""
    # Pinning needs a driver.
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr("odc_lightning.memory.Fetched", lambda tensor: Fetched(tensor.cpu()))
    with FakeTensorMode():
        features = torch.zeros(500, 8, device=place, dtype=getattr(torch, precision))
        memory = ClusterMemory(500, 10, 8, device="cuda", features=features)
        indices = torch.zeros(16, dtype=torch.int64, device="cuda")
        weights = loss_weights(memory.counts[memory.labels[indices]])
        memory.prefetch(indices, torch.zeros(16, dtype=torch.int64))
        new, labels = memory.propose(indices, torch.zeros(16, 8, device="cuda"))
        ratio = memory.write(indices, new, labels)
        assert memory.features_elsewhere == (memory._unwritten is not None) == (place == "cpu")
        memory.set_centroids(memory.refreshed_centroids("involved"))
        offsets = memory.balanced_offsets(0.1, 3, indices)
        distances = memory.distances()
        for given in (weights, new, labels, ratio, memory.centroids, offsets, distances):
            assert given.device.type == "cuda"
        assert memory.features.device.type == place
