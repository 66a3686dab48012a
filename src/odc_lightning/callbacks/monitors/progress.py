"""What a run shows while it goes: a live view on a terminal, one line an epoch anywhere else."""

import logging
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import (
    BatchesProcessedColumn,
    CustomBarColumn,
)
from rich import get_console
from rich.console import RenderableType
from rich.file_proxy import FileProxy
from rich.progress import ProgressColumn, Task, TextColumn
from rich.text import Text
from torch import Tensor

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.monitors.health_monitor import HealthMonitor
from odc_lightning.callbacks.monitors.live_view import LiveView
from odc_lightning.callbacks.monitors.throughput import Throughput
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.utils.timing import format_duration

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


def status_line(metrics: Mapping[str, Tensor | float], images_per_second: float | None) -> str:
    """``loss 2.41  switch 0.31  clusters 22-87  5,120 images/s``, of what is known."""
    parts = []
    if "train/loss" in metrics:
        parts.append(f"loss {float(metrics['train/loss']):.2f}")
    if "train/accuracy" in metrics:
        parts.append(f"accuracy {float(metrics['train/accuracy']):.2f}")
    if "odc/label_switch_ratio" in metrics:
        parts.append(f"switch {float(metrics['odc/label_switch_ratio']):.2f}")
    if "odc/cluster_size_min" in metrics and "odc/cluster_size_max" in metrics:
        smallest, largest = metrics["odc/cluster_size_min"], metrics["odc/cluster_size_max"]
        parts.append(f"clusters {int(smallest):,}-{int(largest):,}")
    if images_per_second is not None:
        parts.append(f"{images_per_second:,.0f} images/s")
    return "  ".join(parts)


class Progress(RichProgressBar):
    """Lightning's bar with the time to the end of the whole run, and a `LiveView` above it."""

    def __init__(self) -> None:
        """Whether there is a terminal is for rich to say (``TTY_INTERACTIVE`` overrules it)."""
        super().__init__(refresh_rate=10)
        console = get_console()
        self._draws = console.is_interactive or console.is_jupyter
        self._start: tuple[float, int] | None = None  # time and step of the first batch
        self._total_steps = math.inf
        self._last_read = -math.inf
        self._view = LiveView()

    @property
    def is_enabled(self) -> bool:
        """Whether a bar is drawn."""
        return self._draws and super().is_enabled

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Learn the length of the run, which `max_epochs` and `max_steps` bound."""
        super().on_train_start(trainer, pl_module)
        self._start = None
        self._total_steps = trainer.estimated_stepping_batches

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Start the clock at the first batch: neither the bootstrap nor a resumed part counts."""
        if self._start is None:
            self._start = monotonic(), trainer.global_step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line if there is no bar."""
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.is_global_zero and not self._draws:
            epoch = self._get_train_description(trainer.current_epoch)
            print("  ".join(filter(None, [epoch, self._read(trainer), self._eta()])), flush=True)

    def configure_columns(self, trainer: pl.Trainer) -> list[ProgressColumn]:
        """Epoch, bar, iterations, time left, speed; cut off where the terminal ends."""
        return [
            TextColumn("{task.description}"),
            CustomBarColumn(bar_width=16),
            BatchesProcessedColumn(style=""),
            _FieldColumn("eta"),
            _FieldColumn("speed"),
        ]

    def _init_progress(self, trainer: pl.Trainer) -> None:
        before = self.progress
        super()._init_progress(trainer)
        if self.progress is not None and self.progress is not before:
            shown = partial(_below, self._view, self.progress.get_renderables)
            self.progress.get_renderables = shown  # type: ignore[method-assign]
        _send_logs_above_bar()

    def _stop_progress(self) -> None:
        super()._stop_progress()
        _send_logs_to_terminal()

    def _update_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        task, now = self.train_progress_bar_id, monotonic()
        if self.progress is None or task is None or now - self._last_read < SECONDS_BETWEEN_READS:
            return
        self._last_read = now
        owner, monitor = PseudoLabels.find(trainer), find(trainer, HealthMonitor)
        sizes = owner.counts.tolist() if owner is not None and owner.initialized else []
        warning = None if monitor is None else monitor.latest
        self._view.update(trainer.callback_metrics, sizes, warning)
        meter = find(trainer, Throughput)
        rate = meter.images_per_second if meter is not None else None
        speed = "" if rate is None else f"{rate:,.0f} images/s"
        self.progress.update(task, speed=speed, eta=self._eta())

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        bounded = last is not None and last > 0
        return f"epoch {current_epoch + 1}/{last}" if bounded else f"epoch {current_epoch + 1}"

    def _read(self, trainer: pl.Trainer) -> str:
        """The numbers of this moment in a line."""
        meter = find(trainer, Throughput)
        rate = meter.images_per_second if meter is not None else None
        return status_line(trainer.callback_metrics, rate)

    def _eta(self) -> str:
        """Time to the end of the run, or nothing if that is not known."""
        if self._start is None:
            return ""
        time, step = self._start
        done, total = self.trainer.global_step - step, self._total_steps - step
        seconds = remaining_seconds(monotonic() - time, done, total)
        return f"ETA {format_duration(seconds)}" if seconds is not None else ""


def _below(
    view: LiveView, bars: Callable[[], Iterable[RenderableType]]
) -> Iterable[RenderableType]:
    return [view, *bars()]


class _FieldColumn(ProgressColumn):
    """A field of the task, if it has it; `Progress` sets those of the training task."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def render(self, task: Task) -> Text:
        return Text(task.fields.get(self.field, ""), no_wrap=True, overflow="ellipsis")


def _send_logs_above_bar() -> None:
    """Let log handlers write to rich's stand-ins for stdout and stderr while a bar is drawn.

    Handlers that were made before hold the terminal itself, and the bar would draw over what they
    write.
    """
    for handler in _stream_handlers():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, FileProxy) and handler.stream is stream.rich_proxied_file:
                handler.setStream(stream)


def _send_logs_to_terminal() -> None:
    """Undo `_send_logs_above_bar`."""
    for handler in _stream_handlers():
        if isinstance(handler.stream, FileProxy):
            handler.setStream(handler.stream.rich_proxied_file)


def _stream_handlers() -> list[logging.StreamHandler[Any]]:
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    return [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
