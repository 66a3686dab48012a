"""Section ``speed``: steps of ResNet-50, plain, with ODC, and with all callbacks.

Two measurements, since they answer two questions. With synchronisation (`benchmarks.step`) kinds of
steps take turns, and each is timed by itself: what it costs. Without it the host queues work ahead,
as in a training: how many images a second it trains on, waits of the callbacks included.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.step import (
    KINDS,
    RESNET_GPU,
    TINY,
    Clustered,
    Labelled,
    Size,
    callbacks_of,
    composed,
    seconds,
)
from benchmarks.timing import wait
from odc_lightning.callbacks import in_order
from odc_lightning.config.build import build_module

PLAIN, ODC, _ = KINDS
SIZES = (
    RESNET_GPU._replace(steps=12),
    RESNET_GPU._replace(title="ResNet-50, bf16, 64 images", batch=64, steps=40),
)
TURNS = 2
WARM_UP_SHARE = 4  # one step of that many


def measure(dry_run: bool) -> Iterator[Row]:
    """Both measurements of each batch size."""
    accelerator, precision = ("cpu", "32-true") if dry_run else ("gpu", "bf16-mixed")
    for size in (TINY,) if dry_run else SIZES:
        work = partial(synchronised, size, accelerator, precision)
        yield attempt("A step, with synchronisation", size.title, work)
    for size in (TINY,) if dry_run else SIZES:
        for turn in range(TURNS):
            for kind in KINDS:
                name = f"{size.title}, {kind}, run {turn + 1}"
                work = partial(throughput, size, kind, accelerator, precision)
                yield attempt("Throughput, without synchronisation", name, work)


def synchronised(size: Size, accelerator: str, precision: str) -> Values:
    """Milliseconds of each kind of step, in turns, and ratios."""
    times = seconds(size, accelerator, precision)
    plain, odc, everything = times
    return {
        **{f"{kind} (ms)": 1e3 * each for kind, each in zip(KINDS, times, strict=True)},
        "ODC / plain": f"{odc / plain:.3f}",
        "all callbacks / plain": f"{everything / plain:.3f}",
    }


class Resident(pl.LightningDataModule):
    """Batches that lie on the device, so that a step waits neither for images nor for copies."""

    def __init__(self, size: Size, device: torch.device) -> None:
        super().__init__()
        self.num_samples, self.num_views, self.val_dataset = size.num_samples, size.num_views, None
        image = torch.randn(size.batch, 3, size.side, size.side, device=device)
        shape = (steps_of(size), size.batch)
        drawn = torch.randint(size.num_samples, shape, device=device)
        self.batches = [{"image": image, "index": indices} for indices in drawn]

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]


class Stopwatch(pl.Callback):
    """Times all steps after the first ones together; the host waits at both ends only."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.start, self.seconds = warm_up, 0.0, 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.warm_up:
            wait()
            self.start = perf_counter()

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        wait()
        self.seconds = (perf_counter() - self.start) / (trainer.global_step - self.warm_up)


def steps_of(size: Size) -> int:
    """Steps of a run, those that warm up included."""
    return size.steps + max(1, size.steps // WARM_UP_SHARE)


def throughput(size: Size, kind: str, accelerator: str, precision: str) -> Values:
    """Milliseconds a step and images a second of one kind of training, and its memory."""
    on_gpu = accelerator == "gpu"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    stopwatch = Stopwatch(steps_of(size) - size.steps)
    with tempfile.TemporaryDirectory() as folder:
        config = composed(size, folder)
        algorithm, observing = callbacks_of(config)
        parts: list[pl.Callback] = [Labelled(size.num_clusters, size.num_views)]
        if kind != PLAIN:
            parts = [Clustered(), *in_order([*algorithm, *([] if kind == ODC else observing)])]
        trainer = pl.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=1,
            precision=precision,  # type: ignore[arg-type]
            callbacks=[*parts, stopwatch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        data = Resident(size, trainer.strategy.root_device)
        trainer.fit(build_module(config), datamodule=data)
    return {
        "ms a step": 1e3 * stopwatch.seconds,
        "images/s": size.batch / stopwatch.seconds,
        "peak of the GPU (GB)": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
    }
