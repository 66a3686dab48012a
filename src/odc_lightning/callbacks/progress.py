"""What a run shows while it goes: a bar on a terminal, one line an epoch anywhere else."""

import math
from collections.abc import Mapping
from time import monotonic
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import (
    BatchesProcessedColumn,
    CustomBarColumn,
)
from rich import get_console
from rich.progress import ProgressColumn, Task, TextColumn
from rich.text import Text
from torch import Tensor

from odc_lightning.callbacks.throughput import Throughput
from odc_lightning.report import format_duration

# Reading a metric makes the host wait for the device, so it happens this seldom.
SECONDS_BETWEEN_READS = 0.5


def remaining_seconds(elapsed: float, done: int, total: float) -> float | None:
    """Time to the end of a run, if the rest goes as fast as what is done.

    Args:
        elapsed: seconds that the steps done took.
        done: steps done in that time.
        total: steps done and to come, or infinity.

    Returns:
        Seconds; None if nothing is done yet or the run has no end.
    """
    if done <= 0 or not math.isfinite(total):
        return None
    return max(0.0, elapsed / done * (total - done))


def status_line(
    metrics: Mapping[str, Tensor | float], images_per_second: float | None, eta: float | None
) -> str:
    """``loss 2.41  switch 0.31  clusters 22-87  5,120 images/s  ETA 1:20``, of what is known."""
    parts = []
    if "train/loss" in metrics:
        parts.append(f"loss {float(metrics['train/loss']):.2f}")
    if "odc/label_switch_ratio" in metrics:
        parts.append(f"switch {float(metrics['odc/label_switch_ratio']):.2f}")
    if "odc/cluster_size_min" in metrics and "odc/cluster_size_max" in metrics:
        smallest, largest = metrics["odc/cluster_size_min"], metrics["odc/cluster_size_max"]
        parts.append(f"clusters {int(smallest)}-{int(largest)}")
    if images_per_second is not None:
        parts.append(f"{images_per_second:,.0f} images/s")
    if eta is not None:
        parts.append(f"ETA {format_duration(eta)}")
    return "  ".join(parts)


class Progress(RichProgressBar):
    """Lightning's bar with the numbers of ODC and the time to the end of the whole run."""

    def __init__(self) -> None:
        """Whether there is a terminal is for rich to say (``TTY_INTERACTIVE`` overrules it)."""
        super().__init__(refresh_rate=10)
        console = get_console()
        self._draws = console.is_interactive or console.is_jupyter
        self._status = _StatusColumn()
        self._start_time = 0.0
        self._start_step = 0
        self._last_read = -math.inf

    @property
    def is_enabled(self) -> bool:
        """Whether a bar is drawn."""
        return self._draws and super().is_enabled

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Start the clock at the first batch: neither the bootstrap nor a resumed part counts."""
        if self._start_time == 0.0:
            self._start_time, self._start_step = monotonic(), trainer.global_step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line if there is no bar."""
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.is_global_zero and not self._draws:
            epoch = self._get_train_description(trainer.current_epoch)
            print(f"{epoch}  {self._read(trainer)}", flush=True)

    def configure_columns(self, trainer: pl.Trainer) -> list[ProgressColumn]:
        """Epoch, bar, iterations, and the status."""
        return [
            TextColumn("{task.description}"),
            CustomBarColumn(bar_width=16),
            BatchesProcessedColumn(style=""),
            self._status,
        ]

    def _update_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = monotonic()
        if self.is_enabled and now - self._last_read >= SECONDS_BETWEEN_READS:
            self._last_read = now
            self._status.text = self._read(trainer)

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        bounded = last is not None and last > 0
        return f"epoch {current_epoch + 1}/{last}" if bounded else f"epoch {current_epoch + 1}"

    def _read(self, trainer: pl.Trainer) -> str:
        """The status line of this moment; the only place where the host waits for the device."""
        meters = [c for c in trainer.callbacks if isinstance(c, Throughput)]  # type: ignore[attr-defined]
        eta = remaining_seconds(
            monotonic() - self._start_time,
            trainer.global_step - self._start_step,
            trainer.estimated_stepping_batches - self._start_step,
        )
        rate = meters[0].images_per_second if meters else None
        return status_line(trainer.callback_metrics, rate, eta)


class _StatusColumn(ProgressColumn):
    """A text that is set from outside: drawing happens in a thread that must not read metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def render(self, task: Task) -> Text:
        return Text(self.text)
