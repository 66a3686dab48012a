"""Section ``waits``: where the host waits for the GPU during a step, as torch reports it.

torch reports what copies to or from the host at once, or needs a size there. It does not report a
wait for an event, as `odc_lightning.utils.devices.Fetched` has it, for what was asked for before
the backward pass. So no place is expected.
"""

from __future__ import annotations

import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import DIGITS, NARROW, NO_KNN, clusters, small_run

FIRST, LAST = 5, 9  # steps: not before the start is over, nor at an epoch's end
SETTINGS = (
    NO_KNN,
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=null",
    "trainer.log_every_n_steps=1000",
)
OURS = ("odc_lightning", "pytorch_lightning")


class Waits(pl.Callback):
    """Counts torch's reports during some steps, by file and line.

    Attributes:
        found: reports by the innermost place in `OURS`; None until the last of the steps.
    """

    def __init__(self, first: int = FIRST, last: int = LAST) -> None:
        self.first, self.last = first, last
        self.found: Counter[str] | None = None
        self._so_far: Counter[str] = Counter()
        self._caught = warnings.catch_warnings()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Begin and end between two steps, after what other callbacks do."""
        if trainer.global_step == self.first:
            self._caught.__enter__()
            warnings.simplefilter("always")
            warnings.showwarning = self._noted
            set_mode("warn")
        if trainer.global_step == self.last:
            set_mode("default")
            self._caught.__exit__(None, None, None)
            self.found = self._so_far

    def _noted(self, message: Any, *_: Any, **__: Any) -> None:
        if "called a synchronizing" in str(message):
            frames = traceback.extract_stack()
            ours = [f for f in frames if set(OURS) & set(Path(f.filename).parts)]
            place = ours[-1] if ours else frames[-2]
            self._so_far[f"{Path(place.filename).name}:{place.lineno}"] += 1


def set_mode(mode: str) -> None:
    """Set torch's reports, where there is a GPU."""
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode(mode)


def cases(dry_run: bool) -> dict[str, tuple[str, ...]]:
    """Overrides of the config by the training's name."""
    odc = (*DIGITS, clusters(dry_run))
    small = ("experiment=odc_small", "data=digits", "model=convnet", NARROW, clusters(dry_run))
    return {
        "odc": odc,
        "odc, features in RAM": (*odc, "algorithm.samples_memory.place=ram"),
        "odc, 16-mixed": (*odc, "trainer.precision=16-mixed"),
        "odc_small": small,
    }


def measure(dry_run: bool) -> Iterator[Row]:
    """A row for each training, or for each place where it waits."""
    title = "Waits for the GPU in a step"
    for name, overrides in cases(dry_run).items():
        watch = Waits()
        row = attempt(title, name, partial(watched, watch, dry_run, *overrides))
        if row.failure or not watch.found:
            yield row
        for place, number in sorted((watch.found or {}).items()):
            yield Row(title, name, {"place": place, "waits a step": number / (LAST - FIRST)})


def watched(watch: Waits, dry_run: bool, *overrides: str) -> Values:
    """Run a training of more than `LAST` steps; the values are those of one that never waits."""
    few = ("data.batch_size=10",) if dry_run else ()
    try:
        small_run(dry_run, *overrides, *SETTINGS, *few, callbacks=[watch])
    finally:
        set_mode("default")
    if watch.found is None:
        raise AssertionError(f"the training ended before step {LAST}")
    return {"place": "none", "waits a step": 0.0}
