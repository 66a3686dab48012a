"""Low-shot scores as a figure, as in the paper's Figure 3."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from sklearn.isotonic import isotonic_regression

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.figures.curves import BLUE, GREEN, GREY, ORANGE
from odc_lightning.reporting.tables.score_text import metric_text, num_shots
from odc_lightning.reporting.tables.table_layout import unique_names
from odc_lightning.utils.text import printable

# The rest of Okabe and Ito's palette that is dark enough for a line.
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^")


class Curve(NamedTuple):
    """The scores of one network over K numbers of shots, in percent.

    Attributes:
        label: network and layer.
        is_untrained: whether the network is untrained.
        shots: (K,) examples per class, ascending.
        values: (K,) mean over draws.
        spreads: (K,) standard deviation over draws; 0 where it is not known.
    """

    label: str
    is_untrained: bool
    shots: np.ndarray
    values: np.ndarray
    spreads: np.ndarray


def draw_low_shot(evaluations: Sequence[Evaluation], path: Path | str) -> None:
    """Draw a line per network: its score over the number of positive examples per class.

    Args:
        evaluations: those without low-shot scores are left out.
        path: the PNG to write.

    Raises:
        ValueError: no evaluation has low-shot scores, or they have no common metric.
    """
    FigureCanvasAgg(build_figure(evaluations)).print_png(Path(path))


def build_figure(evaluations: Sequence[Evaluation]) -> Figure:
    """The figure of `draw_low_shot`."""
    metric = _common_metric(evaluations)
    names = unique_names(evaluations)
    found = [_curve(*named, metric) for named in zip(names, evaluations, strict=True)]
    curves = [curve for curve in found if curve is not None]
    figure = Figure(figsize=(8, 4.8), dpi=120)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    for curve, (colour, marker) in zip(curves, _styles(curves), strict=True):
        _draw(axes, curve, colour, marker)
    _name_lines(axes, curves)
    _finish(axes, curves, metric, sorted({evaluation.data for evaluation in evaluations}))
    return figure


def spread_out(places: np.ndarray, gap: float) -> np.ndarray:
    """The positions nearest to the given ones (least squares) that are at least a gap apart.

    Args:
        places: (K,) in any order, which is kept.
        gap: smallest distance between two.
    """
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    # Without the gaps they only have to ascend.
    apart = np.empty(len(places))
    apart[order] = isotonic_regression(places[order] - steps) + steps
    return apart


def _common_metric(evaluations: Sequence[Evaluation]) -> str:
    """top-1 if all networks have it, else mAP."""
    found = {
        name: sorted({score.metric for score in _by_shots(evaluation)})
        for name, evaluation in zip(unique_names(evaluations), evaluations, strict=True)
    }
    scored = [metrics for metrics in found.values() if metrics]
    for metric in ("top1", "map"):
        if scored and all(metric in metrics for metrics in scored):
            return metric
    raise ValueError(
        f"Got low-shot scores in these metrics: {found}; expected top1 or map of every network "
        "that has any, and of one at least. Draw the networks of one data set, evaluated with "
        "low_shot."
    )


def _by_shots(evaluation: Evaluation) -> list[Score]:
    """The low-shot scores of a number of shots."""
    return [
        score
        for score in evaluation.scores
        if score.protocol == "low_shot" and num_shots(score.setting) and math.isfinite(score.value)
    ]


def _curve(name: str, evaluation: Evaluation, metric: str) -> Curve | None:
    """The curve of the network's best layer, as in the paper; None without scores."""
    layers: dict[str, list[tuple[int, Score]]] = {}
    for score in _by_shots(evaluation):
        if score.metric == metric:
            layers.setdefault(score.layer, []).append((num_shots(score.setting) or 0, score))
    if not layers:
        return None
    means = {
        layer: np.mean([score.value for _, score in points]) for layer, points in layers.items()
    }
    layer = max(means, key=lambda name: means[name])
    points = sorted(layers[layer], key=lambda point: point[0])
    return Curve(
        f"{name} ({layer})",
        evaluation.is_untrained,
        np.array([shots for shots, _ in points]),
        100 * np.array([score.value for _, score in points]),
        100 * np.nan_to_num(np.array([score.spread or 0.0 for _, score in points])),
    )


def _styles(curves: list[Curve]) -> list[tuple[str, str]]:
    """Colour and marker of each curve; an untrained network is grey."""
    styles = itertools.cycle((colour, marker) for marker in MARKERS for colour in COLOURS)
    return [(GREY, "o") if curve.is_untrained else next(styles) for curve in curves]


def _draw(axes: Axes, curve: Curve, colour: str, marker: str) -> None:
    low, high = curve.values - curve.spreads, curve.values + curve.spreads
    axes.fill_between(curve.shots, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(
        curve.shots,
        curve.values,
        color=colour,
        linestyle="--" if curve.is_untrained else "-",
        linewidth=1.8,
        marker=marker,
        markersize=4.5,
    )


def _name_lines(axes: Axes, curves: list[Curve]) -> None:
    """Write the names at the ends of the lines, in place of a legend."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    ends = np.array([curve.values[-1] for curve in curves])
    places = spread_out(ends, 0.05 * (top - bottom))
    for line, curve, place in zip(axes.lines, curves, places, strict=True):
        axes.annotate(
            printable(curve.label),
            (1, place),
            parse_math=False,  # a name may hold dollar signs
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=line.get_color(),
        )


def _finish(axes: Axes, curves: list[Curve], metric: str, data: list[str]) -> None:
    shots = sorted({int(k) for curve in curves for k in curve.shots})
    axes.set_xscale("log", base=2)
    axes.set_xticks(shots, [str(k) for k in shots])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("positive examples per class")
    title = f"Low-shot linear SVMs on {', '.join(data)}: {metric_text(metric)}"
    if any(curve.spreads.any() for curve in curves):
        title += ", mean ± standard deviation"
    axes.set_title(printable(title), loc="left", fontsize=11, parse_math=False)
    axes.margins(x=0.02)
