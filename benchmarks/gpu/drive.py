"""Sections in processes of their own, each with a time limit, and all together with one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from time import monotonic

from benchmarks.gpu.rows import Row
from benchmarks.gpu.sections import SECTIONS, measured
from benchmarks.processes import Job

TOTAL_SECONDS = 530
FEWEST_SECONDS = 15  # with less time left no section is started
AT_ONCE = 3
CORES_EACH = 4


@dataclass
class Outcome:
    """What a section has given.

    Attributes:
        name: of the section.
        rows: until its end, or until it failed.
        failure: why it ended too early; None if it did not.
        seconds: that it took.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    failure: str | None = None
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        """The section's own failure and those of its rows."""
        own = [self.failure] if self.failure else []
        return [*own, *(f"{row.name}: {row.failure}" for row in self.rows if row.failure)]


class Run:
    """A section at work."""

    def __init__(self, name: str, dry_run: bool, folder: Path, seconds: float) -> None:
        """Start it; it is ended after ``seconds``."""
        section = SECTIONS[name]
        self.outcome = Outcome(name)
        self.started, self.limit = monotonic(), min(section.seconds, seconds)
        self.job = Job(measured, section.module, dry_run, folder / f"{name}.log")

    @property
    def left(self) -> float:
        """Seconds until it is ended."""
        return max(0.0, self.started + self.limit - monotonic())

    def has_ended(self) -> bool:
        """Take what it has given, and end it if its time is over."""
        try:
            while self.job.connection.poll():
                item = self.job.receive()
                if item is None:
                    return self._end(None)
                self.outcome.rows.append(item)
        except RuntimeError as error:
            return self._end(str(error))
        return self.left == 0 and self._end(f"it was ended after {self.limit:.0f} s")

    def kill(self) -> None:
        """End it and all that it started."""
        self.job.kill()

    def _end(self, failure: str | None) -> bool:
        self.kill()
        self.outcome.failure = failure
        self.outcome.seconds = monotonic() - self.started
        return True


def drive(names: Sequence[str], dry_run: bool, folder: Path) -> Iterator[Outcome]:
    """Run sections, those that are timed one after the other, and then the others together.

    Args:
        names: of `SECTIONS`.
        dry_run: tiny sizes on the CPU.
        folder: of the logs; it exists.

    Yields:
        Each section's outcome when it has ended.
    """
    deadline = monotonic() + TOTAL_SECONDS
    together = max(1, min(AT_ONCE, (os.cpu_count() or 1) // CORES_EACH))
    for alone, at_once in ((True, 1), (False, together)):
        waiting = deque(name for name in names if SECTIONS[name].alone == alone)
        running: list[Run] = []
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    name, left = waiting.popleft(), deadline - monotonic()
                    if left < FEWEST_SECONDS:
                        yield Outcome(name, failure="no time was left for it")
                    else:
                        running.append(Run(name, dry_run, folder, left))
                wait([run.job.connection for run in running], min([r.left for r in running] or [0]))
                for run in [run for run in running if run.has_ended()]:
                    running.remove(run)
                    yield run.outcome
        finally:
            for run in running:
                run.kill()
