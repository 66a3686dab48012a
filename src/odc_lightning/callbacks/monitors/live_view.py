"""What a terminal shows of a run above its bar: how loss and labels went, how clusters are now."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from torch import Tensor

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", ".:-=+*%#"  # the second for terminals that know no Unicode
WIDEST, NARROWEST, BINS = 60, 8, 16
BORDER = 4  # of the panel, with its padding


def sparkline(
    values: Sequence[float], width: int, low: float, high: float, blocks: str = BLOCKS
) -> str:
    """A line of blocks, the higher the larger the value.

    Args:
        values: from the oldest to the newest; what is not finite is a gap.
        width: at most so many blocks: of more values each block is the mean of some neighbours.
        low: the value of the lowest block; smaller ones are as low.
        high: the value of the highest.
        blocks: from the lowest to the highest.
    """
    line = ""
    for some in np.array_split(np.asarray(values, dtype=float), min(width, len(values)) or 1):
        known = some[np.isfinite(some)]
        if len(known) == 0:
            line += " " if len(some) else ""
            continue
        share = (known.mean() - low) / (high - low) if high > low else 0.0
        line += blocks[round(min(max(share, 0.0), 1.0) * (len(blocks) - 1))]
    return line


def size_histogram(sizes: Sequence[int], bins: int, blocks: str = BLOCKS) -> str:
    """How many clusters are of which size: bars from the smallest to the largest, on a log scale.

    Args:
        sizes: (C,) of the clusters; empty ones are left out.
        bins: how many bars at most; fewer where a bar would be less than one size wide.
        blocks: from the lowest to the highest; a bar without any cluster is a space.
    """
    filled = np.asarray([size for size in sizes if size > 0])
    if len(filled) == 0:
        return ""
    edges = np.geomspace(filled.min(), filled.max() + 1, bins + 1).round().astype(int)
    numbers, _ = np.histogram(filled, np.unique(edges))
    return "".join(
        sparkline([number], 1, 0, numbers.max(), blocks) if number else " " for number in numbers
    )


class History:
    """The course of a number over a whole run, in bounded memory.

    Attributes:
        first: the first value.
        last: the newest.
        values: means of equally many neighbours each; when they become too many, of twice as many.
    """

    def __init__(self, most: int = 2 * WIDEST) -> None:
        """Keep at most so many means, an even number."""
        self.most = most
        self.first, self.last = math.nan, math.nan
        self.values: list[float] = []
        self._each = 1
        self._waiting: list[float] = []

    def add(self, value: float) -> None:
        """The next value."""
        if math.isnan(self.first):
            self.first = value
        self.last = value
        self._waiting.append(value)
        if len(self._waiting) < self._each:
            return
        self.values.append(sum(self._waiting) / self._each)
        self._waiting = []
        if len(self.values) == self.most:
            pairs = zip(self.values[::2], self.values[1::2], strict=True)
            self.values = [(one + other) / 2 for one, other in pairs]
            self._each *= 2


class LiveView:
    """A small panel for rich; empty until it is told something."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.courses = {"loss": History(), "accuracy": History(), "switch": History()}
        self.sizes: list[int] = []
        self.warning: str | None = None

    def update(
        self,
        metrics: Mapping[str, Tensor | float],
        sizes: Sequence[int] = (),
        warning: str | None = None,
    ) -> None:
        """Take over the numbers of this moment.

        Args:
            metrics: by their logged names; those that are missing are not shown.
            sizes: (C,) of the clusters, if there are any.
            warning: the latest of the run.
        """
        names = ("train/loss", "train/accuracy", "odc/label_switch_ratio")
        for name, course in zip(names, self.courses.values(), strict=True):
            if name in metrics:
                course.add(float(metrics[name]))
        self.sizes, self.warning = list(sizes), warning

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A row for each thing that is known: name, picture, numbers."""
        blocks = ASCII if options.ascii_only else BLOCKS
        rows = [(name, course) for name, course in self.courses.items() if course.values]
        if not rows:
            return
        numbers = [f"{course.first:.2f} -> {course.last:.2f}" for _, course in rows]
        numbers += [_sizes_in_words(self.sizes)] if self.sizes else []
        beside = len("clusters ") + 1 + max(map(len, numbers))
        width = max(NARROWEST, min(options.max_width - BORDER - beside, WIDEST))
        table = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(3):
            table.add_column(no_wrap=True)
        for (name, course), number in zip(rows, numbers, strict=False):
            highest = max((v for v in course.values if math.isfinite(v)), default=1.0)
            top = highest if name == "loss" else 1.0
            line = sparkline(course.values, width, 0.0, top, blocks).ljust(width)
            table.add_row(Text(name, "dim"), Text(line, COLOURS[name]), number)
        if self.sizes:
            bars = size_histogram(self.sizes, min(BINS, width), blocks)
            table.add_row(Text("clusters", "dim"), Text(bars, "green"), numbers[-1])
        text = Text("no warnings", "dim") if self.warning is None else Text(self.warning, "yellow")
        text.no_wrap, text.overflow = True, "ellipsis"
        text.truncate(width + beside - len("clusters "), overflow="ellipsis")
        health = Table.grid(padding=(0, 1, 0, 0))
        health.add_row(Text("health  ", "dim"), text)
        grid = Table.grid()
        grid.add_row(table)
        grid.add_row(health)
        yield Panel(grid, box=box.ROUNDED, border_style="dim", padding=(0, 1), expand=False)


COLOURS = {"loss": "blue", "accuracy": "magenta", "switch": "cyan"}


def _sizes_in_words(sizes: Sequence[int]) -> str:
    """``13-28``, smallest to largest, and how many are empty, if any."""
    num_empty = sum(size == 0 for size in sizes)
    empty = f", {num_empty:,} empty" if num_empty else ""
    return f"{min(sizes):,}-{max(sizes):,}{empty}"
