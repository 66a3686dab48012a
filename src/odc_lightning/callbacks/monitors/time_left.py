"""The time to the end of a training, and when to say it."""

import math
from typing import NamedTuple

from odc_lightning.utils.timing import rough_duration, two_digits

MEASURED_SECONDS = 10.0  # of steps, before the first estimate is said
WORTH_SAYING = 60.0  # seconds left; less needs no line
MOST_LINES = 5  # a machine that others use must not fill the log
SHOWN_BREAK = 1.0  # seconds


class TimeLeft(NamedTuple):
    """An estimate.

    Attributes:
        seconds: to the end of the last epoch.
        steps: to come; infinity if only a time limits the run.
        seconds_per_step: of one of them.
        seconds_per_break: of what follows each epoch.
        limited: whether ``trainer.max_time`` ends the run before the last step.
    """

    seconds: float
    steps: float
    seconds_per_step: float
    seconds_per_break: float
    limited: bool = False

    def __str__(self) -> str:
        """``about 12 minutes of training left: 1,200 steps of 0.6 s``."""
        text = f"about {rough_duration(self.seconds)} of training left"
        if self.limited:
            return f"{text}: the rest of trainer.max_time"
        text += f": {self.steps:,.0f} steps of {two_digits(self.seconds_per_step)} s"
        if self.seconds_per_break >= SHOWN_BREAK:
            text += f", and {two_digits(self.seconds_per_break)} s after each epoch"
        return text


def time_left(
    steps: float,
    steps_per_epoch: float,
    seconds_per_step: float | None,
    seconds_per_break: float,
    limit: float | None = None,
) -> TimeLeft | None:
    """Time to the end of a training, if the rest goes as fast as what is measured.

    Args:
        steps: to come, or infinity.
        steps_per_epoch: each begun epoch has a break at its end, also the last one.
        seconds_per_step: None if nothing is done yet.
        seconds_per_break: of what follows each epoch.
        limit: seconds after which the run ends in any case.

    Returns:
        None if nothing is done yet, or the run has no end.
    """
    if seconds_per_step is None:
        return None
    steps = max(0.0, steps)
    seconds = math.inf
    if math.isfinite(steps):
        breaks = math.ceil(steps / steps_per_epoch)
        seconds = steps * seconds_per_step + breaks * seconds_per_break
    limited = limit is not None and limit < seconds
    if limit is not None and limited:
        seconds = max(0.0, limit)
    if not math.isfinite(seconds):
        return None
    return TimeLeft(seconds, steps, seconds_per_step, seconds_per_break, limited)


class Announcer:
    """Says an estimate once, and again if it is off by a factor of two."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._end: float | None = None  # the time at which the run should end, as last said
        self._lines = 0

    def line(self, now: float, left: TimeLeft) -> str | None:
        """The line to print; None if there is nothing new, or nothing worth saying.

        Args:
            now: seconds of a clock.
            left: the newest estimate.
        """
        if left.seconds < WORTH_SAYING or self._lines == MOST_LINES:
            return None
        if self._end is not None:
            said = self._end - now
            # Of less than a minute no estimate is exact to a factor of two.
            if max(said, WORTH_SAYING) / 2 < left.seconds < 2 * max(said, WORTH_SAYING):
                return None
        first, self._end = self._end is None, now + left.seconds
        self._lines += 1
        return str(left) if first else f"now {left}"
