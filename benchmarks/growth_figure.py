"""Figure of the memory's step against N, C, D, B and ranks, drawn from ``bench.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.axes import FLOOR_MS, LETTERS, OBVIOUS_MS, STEP_MS, axis_title
from odc_lightning.reporting.figures.curves import BLUE, GREY, ORANGE

LINES = (
    (STEP_MS, "ours", BLUE, "-"),
    (OBVIOUS_MS, "obvious, full recompute", ORANGE, "-"),
    (FLOOR_MS, "floor: product, and the batch's rows", GREY, "--"),
)
X_LABELS = {
    "N": "samples N",
    "C": "clusters C",
    "D": "width D",
    "B": "batch B",
    "ranks": "ranks, of one batch",
}
COLUMNS = 3

Series = list[tuple[float, float]]


def draw_growth(report: Mapping[str, Any], device: str, output_png: Path) -> bool:
    """Draw one panel per measured axis.

    Args:
        report: the content of ``bench.json``.
        device: ``"CPU"`` or ``"GPU"``.
        output_png: the file to write.

    Returns:
        Whether there was an axis to draw; otherwise no file is written.
    """
    panels = {
        letter: lines
        for name, letter in LETTERS.items()
        if (lines := _lines(report, axis_title(name, device)))
    }
    if not panels:
        return False
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows + 0.5), dpi=110, layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    shared: Axes | None = None
    for number, (letter, lines) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[divmod(number, columns)], sharey=shared)
        shared = shared or axes
        _draw(axes, letter, lines)
        if number % columns == 0:
            axes.set_ylabel("milliseconds a step")
    handles = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper center", ncols=3, frameon=False
    )
    FigureCanvasAgg(figure).print_png(output_png)
    return True


def _lines(report: Mapping[str, Any], title: str) -> dict[str, Series]:
    """Points of each kind of step in the table with this title, if both values are numbers."""
    found: dict[str, Series] = {}
    for table in report["tables"]:
        if table["title"] != title:
            continue
        for column, *_ in LINES:
            if column not in table["columns"]:
                continue
            where = table["columns"].index(column)
            found[column] = [
                (row[0], row[where])
                for row in table["rows"]
                if isinstance(row[0], int | float) and isinstance(row[where], int | float)
            ]
    return found


def _draw(axes: Axes, letter: str, lines: Mapping[str, Series]) -> None:
    for column, label, colour, style in LINES:
        if column in lines:
            x, y = zip(*lines[column], strict=True)
            marker = "o" if style == "-" else None
            axes.plot(
                x, y, style, color=colour, linewidth=1.8, marker=marker, markersize=4, label=label
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({value for line in lines.values() for value, _ in line})
    axes.set_xticks(ticks, [_short(tick) for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(X_LABELS[letter])
    axes.margins(x=0.06)


def _short(value: float) -> str:
    """``1.28M`` for 1,281,167."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size and (letter == "M" or value >= 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"
