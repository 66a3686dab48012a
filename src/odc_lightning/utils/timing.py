"""Durations, measured and in words."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def format_duration(seconds: float) -> str:
    """A duration to the second: ``1:20`` is a minute and twenty seconds, ``2:00:05`` two hours."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@contextmanager
def timed(name: str, shown: bool = True) -> Iterator[None]:
    """Print how long the body took, unless it fails.

    Args:
        name: of the body, printed before the duration.
        shown: whether to print at all.
    """
    started = time.monotonic()
    yield
    if shown:
        print(f"{name:<18}{format_duration(time.monotonic() - started):>8}", flush=True)
