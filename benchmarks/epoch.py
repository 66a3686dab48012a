"""Whole epochs of ODC, compared with training on labels and with DeepCluster.

The experiments' small network on Fashion-MNIST, including loading and augmentation, without the
scores and files that commands add. Methods take turns, each run in its own process.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from benchmarks.peaks import peak_of
from benchmarks.tables import Cell, Table, Target
from odc_lightning.callbacks import in_order
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.build import build_all, build_module

PLAIN, ODC, DC = "labels", "ODC", "DeepCluster"
EXPERIMENTS = {
    PLAIN: "supervised_fashion_mnist",
    ODC: "odc_fashion_mnist",
    DC: "dc_fashion_mnist",
}


class Effort(NamedTuple):
    """The size of the measurement.

    Attributes:
        images: N.
        epochs: of each run; the first one does not count.
        rounds: runs of each method.
    """

    images: int
    epochs: int
    rounds: int


FULL, QUICK = Effort(10_000, 3, 2), Effort(1_200, 2, 1)


class EpochClock(pl.Callback):
    """Measures the time before the first epoch, and of each epoch until the next starts."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_fit_start(self, *_: Any) -> None:
        self.marks.append(perf_counter())

    def on_train_epoch_start(self, *_: Any) -> None:
        self.marks.append(perf_counter())

    def on_train_end(self, *_: Any) -> None:
        self.marks.append(perf_counter())

    @property
    def seconds(self) -> list[float]:
        """Seconds before the first epoch, then of each epoch."""
        return [end - start for start, end in zip(self.marks, self.marks[1:], strict=False)]


def training(method: str, images: int, epochs: int) -> Callable[[], list[float]]:
    """Set up a training; the returned work gives `EpochClock.seconds`."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    folder = tempfile.mkdtemp()
    overrides = [
        f"experiment={EXPERIMENTS[method]}",
        f"data.subset={{num_images: {images}}}",
        "data.batch_size=128",
        "data.num_workers=1",
        f"run_dir={folder}",
    ]
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = compose("train", overrides)
    clock = EpochClock()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=in_order([clock, *build_all(config.algorithm)]),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    data, module = instantiate(config.data), build_module(config)

    def work() -> list[float]:
        trainer.fit(module, datamodule=data)
        return clock.seconds

    return work


def measure(quick: bool) -> Iterator[Table | Target]:
    """The table of the methods."""
    images, epochs, rounds = QUICK if quick else FULL
    starts: dict[str, list[float]] = {method: [] for method in EXPERIMENTS}
    times: dict[str, list[float]] = {method: [] for method in EXPERIMENTS}
    peaks = dict.fromkeys(EXPERIMENTS, 0)
    for _ in range(rounds):
        for method in EXPERIMENTS:
            found = peak_of(training, method, images, epochs)
            start, _, *counted = found.result
            starts[method].append(start)
            times[method] += counted
            peaks[method] = max(peaks[method], found.peak)
    medians = {method: statistics.median(each) for method, each in times.items()}
    rows: list[tuple[Cell, ...]] = [
        (
            method,
            statistics.median(starts[method]),
            medians[method],
            f"{medians[method] / medians[PLAIN]:.2f}",
            peaks[method] / 1e6,
        )
        for method in EXPERIMENTS
    ]
    yield Table(
        f"An epoch: {images:,} images of 28 pixels, a small network",
        ("trained by", "before the first (s)", "epoch (s)", "epoch / labels", "peak memory (MB)"),
        rows,
        f"Medians of {rounds * (epochs - 1)} epochs. Memory is the process's own, above its amount "
        "before training; one more process loads images.",
    )
