"""Progress of a run: a live view on a terminal, one line an epoch anywhere else."""

import math
from time import monotonic
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.trainer.states import TrainerFn
from rich import get_console
from rich.progress import TaskID

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.monitors.bars import Bars
from odc_lightning.callbacks.monitors.forecast import Forecast
from odc_lightning.callbacks.monitors.health_monitor import HealthMonitor
from odc_lightning.callbacks.monitors.live_view import LiveView
from odc_lightning.callbacks.monitors.status import epoch_of, status_line
from odc_lightning.callbacks.monitors.throughput import Throughput
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.utils.timing import format_duration

# Reading a metric makes the host wait for the device, so it happens this seldom.
SECONDS_BETWEEN_READS = 0.5


class Progress(ProgressBar):
    """A bar with the time to the end of the whole run, and a `LiveView` above it.

    Rank 0 also logs that time after the first steps, and again when it is off by a factor of two.
    Validation, test and prediction have a bar of their own, which has neither time nor speed.
    """

    def __init__(self) -> None:
        """Draw on a terminal, as rich detects it (``TTY_INTERACTIVE`` overrules it)."""
        super().__init__()
        console = get_console()
        self._draws = console.is_interactive or console.is_jupyter
        self._enabled = True
        self._bars: Bars | None = None
        self._training: TaskID | None = None
        self._evaluation: TaskID | None = None
        self._forecast = Forecast()
        self._last_read = -math.inf
        self._view = LiveView()

    @property
    def is_enabled(self) -> bool:
        """Whether a bar is drawn."""
        return self._draws and self._enabled

    def enable(self) -> None:
        """Draw bars, if there is a terminal."""
        self._enabled = True

    def disable(self) -> None:
        """Draw no bars."""
        self._enabled = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to draw, and learn the length of the run."""
        self._start_bars()
        self._forecast.start(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the bar of training back to the first batch."""
        if self._bars is None or not self.is_enabled:
            return
        epoch, num_batches = epoch_of(trainer), self.total_train_batches
        if self._training is None:
            self._training = self._bars.add_loop(epoch, num_batches)
        else:
            self._bars.restart_loop(self._training, epoch, num_batches)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Start the clock at the first batch: neither the bootstrap nor a resumed part counts."""
        self._forecast.start_batch(monotonic())

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar of training, and say how long the run will take."""
        self._forecast.end_batch(trainer, monotonic())
        if self._training is None:  # resumed in the middle of an epoch
            self.on_train_epoch_start(trainer, pl_module)
        self._move(self._training, batch_idx)
        self._show_numbers(trainer, outputs)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line if there is no bar."""
        self._forecast.end_epoch(monotonic())
        self._show_numbers(trainer)
        if trainer.is_global_zero and not self._draws:
            numbers = status_line(trainer.callback_metrics, _images_per_second(trainer))
            parts = (epoch_of(trainer), numbers, self._eta(trainer))
            print("  ".join(filter(None, parts)), flush=True)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to draw."""
        self._start_bars()

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Put a bar for the data loader in place of the one before."""
        if self._bars is None or not self.is_enabled:
            return
        if self.has_dataloader_changed(dataloader_idx):
            self._end_evaluation()
            self._evaluation = self._bars.add_loop(*self._evaluation_loop(trainer))

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move the bar of the data loader."""
        self._move(self._evaluation, batch_idx)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away if training continues."""
        self.reset_dataloader_idx_tracker()
        if trainer.state.fn == TrainerFn.FITTING:
            self._end_evaluation()
            self._show_numbers(trainer)

    on_sanity_check_start = on_test_start = on_predict_start = on_validation_start
    on_test_batch_start = on_predict_batch_start = on_validation_batch_start
    on_test_batch_end = on_predict_batch_end = on_validation_batch_end
    on_test_end = on_predict_end = on_validation_end

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """End the drawing."""
        self._stop_bars()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """End the drawing."""
        self._stop_bars()

    def _start_bars(self) -> None:
        if self.is_enabled and self._bars is None:
            self._bars = Bars(self._view)
            self._bars.start()

    def _stop_bars(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._training = self._evaluation = None

    def _move(self, loop: TaskID | None, batch_idx: int) -> None:
        if self._bars is not None and self.is_enabled and loop is not None:
            self._bars.update(loop, completed=batch_idx + 1)

    def _evaluation_loop(self, trainer: pl.Trainer) -> tuple[str, float]:
        """Name and number of batches of the loop that runs."""
        if trainer.testing:
            return self.test_description, self.total_test_batches_current_dataloader
        if trainer.predicting:
            return self.predict_description, self.total_predict_batches_current_dataloader
        checking = trainer.sanity_checking
        name = self.sanity_check_description if checking else self.validation_description
        return name, self.total_val_batches_current_dataloader

    def _end_evaluation(self) -> None:
        if self._bars is not None and self._evaluation is not None:
            self._bars.remove_task(self._evaluation)
        self._evaluation = None

    def _show_numbers(self, trainer: pl.Trainer, outputs: Any = None) -> None:
        """Update the view, time left and speed, not more often than they may be read.

        Args:
            trainer: of the run.
            outputs: of the step that has ended; few steps are logged. The accuracy of a pretext
                task is that of the last logged step.
        """
        task, now = self._training, monotonic()
        if self._bars is None or task is None or now - self._last_read < SECONDS_BETWEEN_READS:
            return
        self._last_read = now
        owner, monitor = PseudoLabels.find(trainer), find(trainer, HealthMonitor)
        sizes = owner.counts.tolist() if owner is not None and owner.initialized else []
        warning = None if monitor is None else monitor.latest
        metrics: dict[str, Any] = dict(trainer.callback_metrics)
        if outputs is not None:  # Lightning divides the loss by the number of accumulated batches
            metrics["train/loss"] = outputs["loss"] * trainer.accumulate_grad_batches
        if owner is not None and owner.switch_ratio is not None:
            metrics["odc/label_switch_ratio"] = owner.switch_ratio
        self._view.update(metrics, sizes, warning)
        rate = _images_per_second(trainer)
        speed = "" if rate is None else f"{rate:,.0f} images/s"
        self._bars.update(task, speed=speed, eta=self._eta(trainer))

    def _eta(self, trainer: pl.Trainer) -> str:
        """Time to the end of the run; empty if that is not known."""
        left = self._forecast.time_left(trainer)
        return "" if left is None else f"ETA {format_duration(left.seconds)}"


def _images_per_second(trainer: pl.Trainer) -> float | None:
    """Speed of training, if there is a `Throughput` that has measured it."""
    meter = find(trainer, Throughput)
    return None if meter is None else meter.images_per_second
