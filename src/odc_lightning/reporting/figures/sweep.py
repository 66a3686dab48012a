"""Scores over a setting, as in the paper's Figures 4 and 6."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from odc_lightning.reporting.figures.curves import BLUE, GREY
from odc_lightning.reporting.figures.sweep_points import Point


class SweepPanel(NamedTuple):
    """One study.

    Attributes:
        title: of the panel.
        setting: name of the setting, with its unit.
        points: one for each value of the setting.
        is_log: whether the setting has a logarithmic axis of base 2.
    """

    title: str
    setting: str
    points: Sequence[Point]
    is_log: bool = True


def draw_sweeps(panels: Sequence[SweepPanel], score: str, path: Path | str) -> None:
    """Draw mean and standard deviation over the seeds, each seed as a dot, and untrained scores.

    Args:
        panels: side by side, on one axis of scores.
        score: its name with the unit.
        path: the PNG to write.
    """
    FigureCanvasAgg(build_figure(panels, score)).print_png(Path(path))


def build_figure(panels: Sequence[SweepPanel], score: str) -> Figure:
    """The figure of `draw_sweeps`."""
    figure = Figure(figsize=(2.2 + 4.2 * len(panels), 4.2), dpi=120)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
        axes.set_axisbelow(True)
        _draw(axes, panel)
    all_axes[0].set_ylabel(score)
    all_axes[0].legend(frameon=False, fontsize=9, loc="best")
    low, high = all_axes[0].get_ylim()
    # Seeds alone should not fill the axis: a span of at least a tenth of the values.
    missing = max(0.0, 0.1 * high - (high - low))
    all_axes[0].set_ylim(low - missing / 2, high + missing / 2)
    return figure


def _draw(axes: Axes, panel: SweepPanel) -> None:
    values = [point.value for point in panel.points]
    means = [point.mean for point in panel.points]
    spreads = [point.spread for point in panel.points]
    began = [(point.value, fmean(point.untrained)) for point in panel.points if point.untrained]
    if began:
        (line,) = axes.plot(*zip(*began, strict=True), color=GREY, linestyle="--", linewidth=1.2)
        line.set(marker="o", markersize=3.5, label="before training")
    for point in panel.points:
        axes.plot([point.value] * len(point.scores), point.scores, ".", color=BLUE, alpha=0.4)
    seeds = max(len(point.scores) for point in panel.points)
    label = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    axes.errorbar(
        values,
        means,
        spreads if seeds > 1 else None,
        color=BLUE,
        linewidth=1.8,
        marker="o",
        markersize=5,
        capsize=4,
        elinewidth=1.2,
        label=label,
    )
    if panel.is_log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.margins(x=0.06)
    axes.set_xlabel(panel.setting)
    axes.set_title(panel.title, loc="left", fontsize=11)
