"""Figure 1b: the losses of several trainings on one axis."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odc_lightning.reporting.figures.curves import BLUE, GREEN, GREY, ORANGE
from odc_lightning.runs.metrics_csv import read_metrics, steps_per_epoch

COLOURS = (BLUE, ORANGE, GREEN, GREY)
METRIC = "train/loss"


def draw_losses(
    methods: Mapping[str, Sequence[Path]], output_png: Path | str, num_clusters: int | None = None
) -> None:
    """Draw the training loss of each method over the epochs: a faint line per run, and their mean.

    Args:
        methods: name -> folders of runs (seeds) with a ``metrics.csv``.
        output_png: the picture to write.
        num_clusters: C, if it is the same for all runs; the loss of chance, ln C, is drawn then.

    Raises:
        ValueError: there are no methods or more than four, or a run has no losses.
    """
    if not 1 <= len(methods) <= len(COLOURS):
        raise ValueError(f"expected one to {len(COLOURS)} methods to draw, got {len(methods)}")
    figure = Figure(figsize=(9, 4.6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for (name, runs), colour in zip(methods.items(), COLOURS, strict=False):
        _draw(axes, name, [losses(run) for run in runs], colour)
    if num_clusters is not None:
        chance = math.log(num_clusters)
        axes.axhline(chance, color=GREY, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"chance, ln C = {chance:.2f}",
            (1, chance),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 5),
            textcoords="offset points",
            ha="right",
            color=GREY,
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Training loss", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="lower left")
    FigureCanvasAgg(figure).print_png(Path(output_png))


def losses(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """A run's epochs passed (K,) and losses (K,), as they were logged.

    Raises:
        ValueError: the run has not logged the metric.
    """
    return course(run, METRIC)


def course(run: Path, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs passed (K,) and values (K,) of a metric, as the run logged them.

    Raises:
        ValueError: the run has not logged the metric.
    """
    file = run / "metrics.csv"
    found = read_metrics(file) if file.is_file() else {}
    if metric not in found:
        raise ValueError(f"{file} has no {metric}; expected the folder of a finished training run")
    per_epoch = steps_per_epoch(found)
    if per_epoch is None:
        raise ValueError(f"{file} has nothing of the first epoch; expected a whole training run")
    return (found[metric].steps + 1) / per_epoch, found[metric].values


def _draw(
    axes: Axes, name: str, runs: Sequence[tuple[np.ndarray, np.ndarray]], colour: str
) -> None:
    for epochs, values in runs:
        axes.plot(epochs, values, color=colour, alpha=0.35, linewidth=0.7)
    shortest = min(len(values) for _, values in runs)
    mean = np.mean([values[:shortest] for _, values in runs], axis=0)
    label = name if len(runs) == 1 else f"{name}, mean of {len(runs)} seeds"
    axes.plot(runs[0][0][:shortest], mean, color=colour, linewidth=1.8, label=label)
