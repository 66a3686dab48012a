"""A training step of ODC, compared with plain cross-entropy on the same network and images.

One Trainer runs all steps. They take turns: a step with fixed labels only, one with the algorithm's
callbacks, and one with the monitors too (`callbacks=default`). All thus share weights, optimiser,
batches and the load of the machine. A step is timed from the moment when its batch is on the device
to its end, optimiser included; loading is not part of it (benchmarks/pipeline.py).
"""

from __future__ import annotations

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset

from benchmarks.tables import NO_GPU, Table, Target
from benchmarks.timing import wait
from odc_lightning.callbacks import KMeansBootstrap, SamplesMemory, in_order
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.build import build_all, build_module

HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_train_batch_end",
)
KINDS = ("plain", "ODC", "ODC, all callbacks")
WARM_UP = 2  # of each kind
BLOCK = 2**16


class Size(NamedTuple):
    """A network, its images, and the clustering.

    Attributes:
        title: its name in the table.
        overrides: of the config, with the network and the algorithm.
        num_samples: N.
        num_clusters: C.
        batch: B, images per step.
        side: of the images, in pixels.
        num_views: V.
        steps: timed steps of each kind.
    """

    title: str
    overrides: tuple[str, ...]
    num_samples: int
    num_clusters: int
    batch: int
    side: int
    num_views: int = 1
    steps: int = 6


ALEXNET = Size("AlexNet", ("experiment=odc_alexnet",), 1_281_167, 10_000, 64, 224)
ON_CPU = (
    ALEXNET,
    Size("ResNet-50", ("experiment=odc_resnet50",), 1_281_167, 10_000, 16, 224),
    Size("ConvNet", ("experiment=odc_fashion_mnist",), 60_000, 500, 128, 28, steps=40),
    Size(
        "ConvNet, odc_small",
        ("experiment=odc_small", "data=fashion_mnist", "optimizer.lr=0.03"),
        60_000,
        490,
        32,
        28,
        num_views=2,
        steps=40,
    ),
)
RESNET_GPU = Size(
    "ResNet-50, bf16, 512 images",
    ("experiment=odc_resnet50",),
    1_281_167,
    10_000,
    512,
    224,
    steps=20,
)
TINY = Size("tiny", ("experiment=odc_fashion_mnist",), 2_000, 50, 16, 28, steps=2)


class Random(Dataset[dict[str, Any]]):
    """One random image for all indices, so that nothing is loaded; each index occurs 3 times."""

    def __init__(self, size: Size) -> None:
        views = () if size.num_views == 1 else (size.num_views,)
        self.image = torch.randn(*views, 3, size.side, size.side)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.image, "index": index}


class Batches(pl.LightningDataModule):
    """Each batch once for every kind of step."""

    def __init__(self, size: Size, kinds: int) -> None:
        super().__init__()
        self.size, self.kinds = size, kinds
        self.num_samples, self.num_views = size.num_samples, size.num_views
        self.val_dataset = None

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        generator = torch.Generator().manual_seed(0)
        batches = []
        for _ in range(WARM_UP + self.size.steps):
            drawn = torch.randint(self.num_samples, (self.size.batch,), generator=generator)
            batches += [drawn.tolist()] * self.kinds
        return DataLoader(Random(self.size), batch_sampler=batches)


class Clustered(pl.Callback):
    """Replaces the bootstrap: random features of unit length, in clusters of equal size."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        owner = SamplesMemory.of(trainer)
        memory = owner.memory
        for rows in memory.features.split(BLOCK):
            rows.copy_(normalize(torch.randn(rows.shape, device=rows.device), dim=1))
        labels = torch.arange(memory.num_samples, device=memory.labels.device)
        memory.initialize(labels % memory.num_clusters)
        owner.initialized = True


class Labelled(pl.Callback):
    """Replaces clustering in plain training: a fixed label for each image."""

    def __init__(self, num_clusters: int, num_views: int) -> None:
        self.num_clusters, self.num_views = num_clusters, num_views

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        batch["target"] = (batch["index"] % self.num_clusters).repeat_interleave(self.num_views)


class Clock(pl.Callback):
    """Times each step, from before the first callback to after the last."""

    def __init__(self) -> None:
        self.start = 0.0
        self.times: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        wait()
        self.start = perf_counter()


class Stop(pl.Callback):
    """Ends the measurement that a `Clock` started."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, *_: Any) -> None:
        wait()
        self.clock.times.append(perf_counter() - self.clock.start)


def only_in(callback: pl.Callback, kinds: tuple[int, ...]) -> pl.Callback:
    """The callback, inactive in steps of other kinds."""

    def gated(hook: Callable[..., None]) -> Callable[..., None]:
        def call(trainer: pl.Trainer, *arguments: Any) -> None:
            if trainer.fit_loop.total_batch_idx % len(KINDS) in kinds:
                hook(trainer, *arguments)

        return call

    for name in HOOKS:
        setattr(callback, name, gated(getattr(callback, name)))
    return callback


def composed(size: Size, folder: str, *overrides: str) -> DictConfig:
    """The config of a training of this size, whose files are in ``folder``."""
    given = [
        *size.overrides,
        f"algorithm.num_clusters={size.num_clusters}",
        f"data.batch_size={size.batch}",
        f"run_dir={folder}",
        "trainer.max_epochs=1",
        *overrides,
    ]
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        return compose("train", given)


def callbacks_of(config: DictConfig) -> tuple[list[pl.Callback], list[pl.Callback]]:
    """The algorithm's callbacks without the bootstrap, and those that only observe a step."""
    algorithm = [c for c in build_all(config.algorithm) if not isinstance(c, KMeansBootstrap)]
    observing = {k: v for k, v in config.callbacks.items() if k not in BETWEEN_STEPS}
    return algorithm, build_all(observing)


def seconds(size: Size, accelerator: str = "cpu", precision: str = "32-true") -> list[float]:
    """Median seconds of each of the `KINDS` of step."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        # Every third step of the Trainer is a step of ODC; 10 of these are between refreshes.
        config = composed(size, folder, "algorithm.centroid_refresh.every_n_steps=30")
        torch.manual_seed(0)
        clock = Clock()
        algorithm, looking = callbacks_of(config)
        parts = in_order(
            [
                *(only_in(callback, (1, 2)) for callback in algorithm),
                *(only_in(callback, (2,)) for callback in looking),
            ]
        )
        plain = only_in(Labelled(size.num_clusters, size.num_views), (0,))
        callbacks = [clock, Clustered(), plain, *parts, Stop(clock)]
        trainer = pl.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=1,
            precision=precision,  # type: ignore[arg-type]
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(build_module(config), datamodule=Batches(size, len(KINDS)))
    kept = clock.times[WARM_UP * len(KINDS) :]
    return [statistics.median(kept[kind :: len(KINDS)]) for kind in range(len(KINDS))]


# Callbacks that act before the first step or at an epoch's end, or need a bar or a file.
BETWEEN_STEPS = ("label_scores", "index_table", "progress", "checkpoint")


def row(size: Size, times: list[float]) -> tuple[str | float | None, ...]:
    """A row of the table."""
    plain, odc, everything = times
    return (
        size.title,
        f"{size.num_samples:,}",
        f"{size.num_clusters:,}",
        str(size.batch),
        1000 * plain,
        1000 * odc,
        f"{odc / plain:.3f}",
        f"{everything / plain:.3f}",
    )


def measure(quick: bool) -> Iterator[Table | Target]:
    """Tables of the steps, and the targets."""

    rows, ratios = [], {}
    for size in (TINY,) if quick else ON_CPU:
        times = seconds(size)
        rows.append(row(size, times))
        ratios[size.title] = times[1] / times[0]
    gpu_ratio = None
    if torch.cuda.is_available() and not quick:
        times = seconds(RESNET_GPU, "gpu", "bf16-mixed")
        rows.append(row(RESNET_GPU, times))
        gpu_ratio = times[1] / times[0]
    else:
        rows.append((RESNET_GPU.title, *[None] * 4, NO_GPU, None, None))
    yield Table(
        "A training step",
        ("network", "N", "C", "B", "plain (ms)", "ODC (ms)", "ODC / plain", "with all callbacks"),
        rows,
        "Medians. Plain is cross-entropy with fixed labels, on the same batches in turns.",
    )
    if not quick:
        yield Target("step: ODC / plain, AlexNet on the CPU", ratios[ALEXNET.title], 1.03)
        yield Target("step: ODC / plain, ResNet-50 in bf16 on a GPU", gpu_ratio, 1.02)
