"""The time to the end of a `Trainer`'s run, for `Progress`, and the log line about it."""

import logging
import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.monitors.epoch_measurement import expected_break
from odc_lightning.callbacks.monitors.pace import Pace
from odc_lightning.callbacks.monitors.time_left import (
    MEASURED_SECONDS,
    Announcer,
    TimeLeft,
    time_left,
)

log = logging.getLogger(__name__)


class Forecast:
    """Measures a training from its first batch on: neither the bootstrap nor a resumed part counts.

    It reads clocks and counters alone, so it neither waits for a device nor changes the training.
    """

    def __init__(self) -> None:
        """No training has started."""
        self._pace = Pace(0)
        self._announcer = Announcer()
        self._total_steps = 0.0

    def start(self, trainer: pl.Trainer) -> None:
        """Learn the length of the run, after the measurements before training."""
        self._pace = Pace(trainer.global_step, expected_break(trainer))
        self._announcer = Announcer()
        self._total_steps = trainer.estimated_stepping_batches

    def start_batch(self, now: float) -> None:
        """See `Pace.start_batch`."""
        self._pace.start_batch(now)

    def end_batch(self, trainer: pl.Trainer, now: float) -> None:
        """Count the batch; log the time left on rank 0, if there is news."""
        self._pace.end_batch(now, trainer.global_step)
        if not trainer.is_global_zero or not self._pace.is_measured(MEASURED_SECONDS):
            return
        left = self.time_left(trainer)
        line = None if left is None else self._announcer.line(now, left)
        if line is not None:
            log.info(line)

    def end_epoch(self, now: float) -> None:
        """See `Pace.end_epoch`."""
        self._pace.end_epoch(now)

    def time_left(self, trainer: pl.Trainer) -> TimeLeft | None:
        """Time to the end of the last epoch; None if that is not known."""
        timer = find(trainer, Timer)  # of trainer.max_time
        batches = trainer.num_training_batches
        if math.isfinite(batches):
            batches = math.ceil(batches / trainer.accumulate_grad_batches)
        return time_left(
            self._total_steps - trainer.global_step,
            batches,
            self._pace.seconds_per_step,
            self._pace.seconds_per_break,
            None if timer is None else timer.time_remaining(),
        )
