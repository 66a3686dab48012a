"""Bars of training and evaluation loops, with something above them, and logs above all."""

import logging
import math
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text


class Bars(Progress):
    """Bars of rich with the columns name, bar, batches, time left and speed.

    The last two are fields of a task (``eta``, ``speed``) and empty until they are set. A row is
    cut off where the terminal ends. While the bars are drawn, log lines appear above them.
    """

    def __init__(self, above: RenderableType) -> None:
        """Choose what is drawn above the bars."""
        self.above = above
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            _BatchesColumn(),
            _FieldColumn("eta"),
            _FieldColumn("speed"),
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """First what is above, then the bars."""
        yield self.above
        yield from super().get_renderables()

    def start(self) -> None:
        """Draw from now on."""
        super().start()
        _send_logs_above_bars()

    def stop(self) -> None:
        """Draw a last time."""
        super().stop()
        _send_logs_to_terminal()

    def add_loop(self, description: str, num_batches: float) -> TaskID:
        """Add a bar for a loop, which has no end if the number of batches is infinite."""
        return self.add_task(description, total=_total(num_batches))

    def restart_loop(self, loop: TaskID, description: str, num_batches: float) -> None:
        """Set a bar back to no batches done."""
        self.reset(loop, description=description, total=_total(num_batches))


def _total(num_batches: float) -> float | None:
    return num_batches if math.isfinite(num_batches) else None


class _BatchesColumn(ProgressColumn):
    """``3/44``, or ``3/--`` where the number of batches is not known."""

    def render(self, task: Task) -> Text:
        total = "--" if task.total is None else f"{task.total:.0f}"
        return Text(f"{task.completed:.0f}/{total}")


class _FieldColumn(ProgressColumn):
    """A field of the task, if the task has it."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def render(self, task: Task) -> Text:
        return Text(task.fields.get(self.field, ""), no_wrap=True, overflow="ellipsis")


def _send_logs_above_bars() -> None:
    """Let log handlers write to rich's stand-ins for stdout and stderr while bars are drawn.

    Handlers that were made before hold the terminal itself, and the bars would be drawn over the
    lines that they write.
    """
    for handler in _stream_handlers():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, FileProxy) and handler.stream is stream.rich_proxied_file:
                handler.setStream(stream)


def _send_logs_to_terminal() -> None:
    """Undo `_send_logs_above_bars`."""
    for handler in _stream_handlers():
        if isinstance(handler.stream, FileProxy):
            handler.setStream(handler.stream.rich_proxied_file)


def _stream_handlers() -> list[logging.StreamHandler[Any]]:
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    return [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
