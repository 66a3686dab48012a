"""Stability of the labels, as in the paper's Figure 5."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odc_lightning.reporting.figures.curves import SMOOTH_FROM, SMOOTH_SHARE, rolling_median
from odc_lightning.reporting.figures.losses import COLOURS, course

# Metric, title.
PANELS = (
    ("odc/label_switch_ratio", "Share of a batch whose label changed"),
    ("odc/nmi_previous_epoch", "NMI of the clusters with those of an epoch ago"),
)


def draw_stability(networks: Mapping[str, Sequence[Path]], path: Path | str) -> None:
    """Draw label switches and agreement with the previous epoch, over the epochs.

    Args:
        networks: name -> folders of runs (seeds) with a ``metrics.csv``; their mean is drawn.
        path: the PNG to write.

    Raises:
        ValueError: there are no networks or more than four, or a run does not have these metrics.
    """
    FigureCanvasAgg(build_figure(networks)).print_png(Path(path))


def build_figure(networks: Mapping[str, Sequence[Path]]) -> Figure:
    """The figure of `draw_stability`."""
    if not 1 <= len(networks) <= len(COLOURS):
        raise ValueError(f"expected one to {len(COLOURS)} networks to draw, got {len(networks)}")
    figure = Figure(figsize=(11, 4.2), dpi=120)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    for axes, (metric, title) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for (name, runs), colour in zip(networks.items(), COLOURS, strict=False):
            _draw(axes, name, [course(run, metric) for run in runs], colour)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(title, loc="left", fontsize=11)
    figure.axes[0].legend(frameon=False)
    return figure


def _draw(
    axes: Axes, name: str, runs: Sequence[tuple[np.ndarray, np.ndarray]], colour: str
) -> None:
    """Draw a faint line per run, and over them the mean, smoothed if it has many values."""
    shortest = min(len(values) for _, values in runs)
    epochs = runs[0][0][:shortest]
    mean = np.mean([values[:shortest] for _, values in runs], axis=0)
    for one, values in runs:
        axes.plot(one, values, color=colour, alpha=0.22, linewidth=0.6, zorder=1)
    if shortest >= SMOOTH_FROM:
        places, mean = rolling_median(mean, shortest // SMOOTH_SHARE)
        epochs = epochs[places]
    label = name if len(runs) == 1 else f"{name}, {len(runs)} seeds"
    marker = "o" if len(epochs) <= 40 else ""
    (line,) = axes.plot(epochs, mean, color=colour, linewidth=1.8, label=label, zorder=3)
    line.set(marker=marker, markersize=3.5)
