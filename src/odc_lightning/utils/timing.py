"""Measuring durations, and formatting them as text."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def format_duration(seconds: float) -> str:
    """A duration rounded to seconds, as ``1:20`` (m:ss) or ``2:00:05`` (h:mm:ss)."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


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
