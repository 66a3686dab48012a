"""``curves.png``: the course of a run, as in the paper's Figures 1b and 5."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, StrMethodFormatter, SymmetricalLogLocator

from odc_lightning.runs.closing_lines import chance_name
from odc_lightning.runs.metrics_csv import Series, read_metrics

# Okabe and Ito's palette, which stays distinct under every colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6B6B6B"

# More points than a line is pixels wide show nothing and make Agg slow.
MAX_POINTS = 4000
# A line that is smoothed has this many points, each the median of a window of 1/30 of the run.
SMOOTH_FROM, SMOOTH_POINTS, SMOOTH_SHARE = 200, 500, 30

# Metric, name and colour of each line.
SIZES = (
    ("odc/cluster_size_max", "largest", ORANGE),
    ("odc/cluster_size_min", "smallest", BLUE),
)
AGREEMENT = (
    ("eval/knn_top1", "kNN top-1", ORANGE),
    ("eval/nmi", "NMI with the classes", BLUE),
    ("odc/nmi_previous_epoch", "NMI with the previous epoch's clusters", GREEN),
)

Metrics = Mapping[str, Series]


def draw_curves(
    metrics_csv: Path | str,
    output_png: Path | str,
    num_clusters: int,
    num_samples: int,
    chance: float | None = None,
) -> None:
    """Draw the metrics of a run; a panel without its metrics is left out.

    Args:
        metrics_csv: ``metrics.csv`` of a run.
        output_png: the picture to write.
        num_clusters: C.
        num_samples: N; the mean cluster size is N / C.
        chance: the loss of chance, if it differs from ln C.
    """
    figure = build_figure(read_metrics(metrics_csv), num_clusters, num_samples, chance)
    FigureCanvasAgg(figure).print_png(Path(output_png))


def build_figure(
    metrics: Metrics, num_clusters: int, num_samples: int, chance: float | None = None
) -> Figure:
    """The figure of `draw_curves`: up to four panels, two in a row; an odd one fills its row."""
    mean_size = num_samples / num_clusters
    chance = math.log(num_clusters) if chance is None else chance
    chance_label = f"{chance_name(chance, num_clusters)} = {chance:.2f}"
    candidates: list[tuple[Sequence[str], Callable[[Axes], None]]] = [
        (["train/loss"], lambda axes: _draw_loss(axes, metrics, chance, chance_label)),
        (["odc/label_switch_ratio"], lambda axes: _draw_switching(axes, metrics)),
        ([name for name, *_ in SIZES], lambda axes: _draw_sizes(axes, metrics, mean_size)),
        ([name for name, *_ in AGREEMENT], lambda axes: _draw_agreement(axes, metrics)),
    ]
    panels = [draw for names, draw in candidates if any(name in metrics for name in names)]
    rows = max(1, math.ceil(len(panels) / 2))
    figure = Figure(figsize=(11, 3.8 * rows), dpi=120)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    grid = figure.add_gridspec(rows, 2)
    for i, draw in enumerate(panels):
        row, column = divmod(i, 2)
        across = column == 0 and i == len(panels) - 1
        axes = figure.add_subplot(grid[row, :] if across else grid[row, column])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
        axes.set_axisbelow(True)
        draw(axes)
    if not panels:
        figure.text(0.5, 0.5, "no metrics were logged", ha="center", color=GREY)
    return figure


def rolling_median(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Median of the values around each of at most `SMOOTH_POINTS` evenly spread positions.

    Args:
        values: (K,) without NaN.
        window: number of values of a median; fewer at both ends.

    Returns:
        (P,) positions in ``0 .. K - 1`` and (P,) medians.
    """
    half = window // 2
    places = np.linspace(0, len(values) - 1, min(len(values), SMOOTH_POINTS)).round().astype(int)
    medians = [np.median(values[max(0, place - half) : place + half + 1]) for place in places]
    return places, np.array(medians)


def _draw_loss(axes: Axes, metrics: Metrics, chance: float, label: str) -> None:
    _plot_smoothed(axes, metrics["train/loss"], BLUE)
    axes.axhline(chance, color=GREY, linestyle="--", linewidth=1.2)
    axes.annotate(
        label,
        (1, chance),
        xycoords=("axes fraction", "data"),
        xytext=(0, 6),
        textcoords="offset points",
        ha="right",
        color=GREY,
    )
    axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], 1.12 * chance))
    _finish(axes, "Training loss", "iteration")


def _draw_switching(axes: Axes, metrics: Metrics) -> None:
    _plot_smoothed(axes, metrics["odc/label_switch_ratio"], BLUE)
    axes.set_ylim(0, 1.02)
    _finish(axes, "Label-switch ratio: share of a batch whose label changed", "iteration")


def _draw_sizes(axes: Axes, metrics: Metrics, mean: float) -> None:
    lowest, highest = mean, mean
    for name, label, colour in SIZES:
        if name in metrics:
            _plot_smoothed(axes, metrics[name], colour, label)
            lowest = min(lowest, metrics[name].values.min())
            highest = max(highest, metrics[name].values.max())
    label = f"mean, N / C = {mean:,.0f}"
    axes.axhline(mean, color=GREY, linestyle="--", linewidth=1.2, label=label)
    # Linear below 1, so that an empty cluster shows as 0.
    axes.set_yscale("symlog", linthresh=1, subs=range(2, 10))
    axes.set_ylim(lowest / 2, highest * 2)
    axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=[1, 2, 5]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    # Beside the title, where no line can run through it.
    axes.legend(
        frameon=False,
        ncols=3,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
        fontsize=9,
        handlelength=1.4,
        columnspacing=1.2,
    )
    _finish(axes, "Cluster sizes", "iteration")


def _draw_agreement(axes: Axes, metrics: Metrics) -> None:
    for name, label, colour in AGREEMENT:
        if name in metrics:
            series = metrics[name]
            _plot(axes, series.epochs + 1, series.values, colour, label)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    _finish(axes, "Agreement", "epoch")


def _plot_smoothed(axes: Axes, series: Series, colour: str, label: str | None = None) -> None:
    """Draw a line; for a long run the rolling median, over the faint values."""
    finite = np.isfinite(series.values)
    steps, values = series.steps[finite], series.values[finite]
    if len(values) < SMOOTH_FROM:
        _plot(axes, steps, values, colour, label)
        return
    thinned = slice(None, None, math.ceil(len(values) / MAX_POINTS))
    axes.plot(steps[thinned], values[thinned], color=colour, alpha=0.3, linewidth=0.7)
    places, medians = rolling_median(values, len(values) // SMOOTH_SHARE)
    _plot(axes, steps[places], medians, colour, label)


def _plot(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str | None) -> None:
    # A line of a few points needs marks; one of a single point is not seen without.
    marker = "o" if len(x) <= 40 else None
    axes.plot(x, y, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=label)


def _finish(axes: Axes, title: str, x_label: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x_label)
    if x_label == "iteration":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.02)
