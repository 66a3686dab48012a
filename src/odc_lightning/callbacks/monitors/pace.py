"""How fast a training goes: the seconds of a step, and of what follows each epoch."""

from collections import deque

WARM_UP = 3  # steps; they compile, fill caches and start workers
FEWEST_STEPS = 5  # that a measurement needs
RECENT_STEPS, RECENT_SECONDS = 20, 60.0  # the latest steps that count: at least so many, so long


class Pace:
    """Seconds of a step and of a break, from the times at which batches start and end.

    The step is a mean over the latest steps alone: the first epoch of a run may decode all files,
    and later ones do not. A break is what is between the last batch of an epoch and the first of
    the next one, such as measurements; it is a mean over all breaks. Times are seconds of any clock
    that only goes forward.
    """

    def __init__(self, step: int, expected_break: float = 0.0) -> None:
        """Start before the first batch.

        Args:
            step: optimiser steps done so far, above 0 in a resumed run.
            expected_break: seconds, as far as they are known before the first break.
        """
        self._step = step
        self._expected_break = expected_break
        self._done = 0
        self._recent: deque[float] = deque()
        self._measured = 0.0
        self._unfinished = 0.0  # of a step whose gradients are still accumulated
        self._breaks: list[float] = []
        self._last: float | None = None  # end of the newest batch; None: the next starts the clock
        self._epoch_end: float | None = None  # end of its last batch, until the next epoch starts

    def start_batch(self, now: float) -> None:
        """End the break if there is one; only the first batch of an epoch starts the clock.

        Args:
            now: the time.
        """
        if self._epoch_end is not None:
            self._breaks[-1] = now - self._epoch_end
            self._epoch_end = None
        if self._last is None:
            self._last = now

    def end_batch(self, now: float, step: int) -> None:
        """Count the batch.

        Args:
            now: the time.
            step: optimiser steps done so far; some batches only accumulate gradients.
        """
        self._unfinished += now - (now if self._last is None else self._last)
        self._last = now
        if step == self._step:
            return
        self._step = step
        self._done += 1
        if self._done == WARM_UP + 1:
            self._recent.clear()
            self._measured = 0.0
        self._recent.append(self._unfinished)
        self._measured += self._unfinished
        self._unfinished = 0.0
        while len(self._recent) > RECENT_STEPS:
            if self._measured - self._recent[0] < RECENT_SECONDS:
                break
            self._measured -= self._recent.popleft()

    def end_epoch(self, now: float) -> None:
        """Start a break, which lasts until the next batch starts.

        Args:
            now: the time; what was done since the last batch counts.
        """
        if self._last is not None:
            self._epoch_end, self._last = self._last, None
            self._breaks.append(now - self._epoch_end)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the latest steps; None before the first."""
        return self._measured / len(self._recent) if self._recent else None

    @property
    def seconds_per_break(self) -> float:
        """Mean of all breaks; before the first, what is expected of it."""
        return sum(self._breaks) / len(self._breaks) if self._breaks else self._expected_break

    def is_measured(self, seconds: float) -> bool:
        """Whether enough steps after the first few have taken this long."""
        return self._done >= WARM_UP + FEWEST_STEPS and self._measured >= seconds
