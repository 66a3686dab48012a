"""Measuring durations, and formatting them as text."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def format_duration(seconds: float) -> str:
    """A duration rounded to seconds, as ``1:20`` (m:ss) or ``2:00:05`` (h:mm:ss)."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def rough_duration(seconds: float) -> str:
    """A duration that is an estimate, to two digits: ``45 seconds``, ``1.5 hours``."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{two_digits(seconds / length)} {unit}"
    return f"{two_digits(seconds)} seconds"


def two_digits(value: float) -> str:
    """A number rounded to two significant digits: ``0.043``, ``1.5``, ``12``, ``120``."""
    return f"{float(f'{value:.2g}'):,g}"


@contextmanager
def timed(name: str, shown: bool = True) -> Iterator[None]:
    """Print how long the body took, unless it fails.

    Args:
        name: printed before the duration.
        shown: whether to print anything.
    """
    started = time.monotonic()
    yield
    if shown:
        print(f"{name:<18}{format_duration(time.monotonic() - started):>8}", flush=True)
