"""Draw one of the studies of `make small-data-study`.

``python -m scripts.small_data.study_figure EVALUATIONS UNCHANGED FIGURE.png``

A row for each change, a panel for each of the four figures. The band is the unchanged run: the mean
of its seeds, and one standard deviation to either side, which is what a seed alone does.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scripts.small_data.table import FIGURES, Figures, collect

from odc_lightning.reporting.figures.curves import BLUE, GREY, ORANGE


def draw_study(found: dict[str, list[Figures]], unchanged: str, output_png: Path) -> None:
    """Dots of each change beside the band of what is unchanged.

    Args:
        found: name -> the four figures of each seed, in percent.
        unchanged: the name of the run of which everything else is one change.
        output_png: is written.

    Raises:
        ValueError: ``unchanged`` has fewer than two seeds, or is not there.
    """
    seeds = found.get(unchanged, [])
    if len(seeds) < 2:
        raise ValueError(f"{unchanged} has {len(seeds)} evaluations; expected two seeds or more")
    changes = {name: runs[0] for name, runs in found.items() if name != unchanged}
    order = sorted(changes, key=lambda name: changes[name][0])
    figure = Figure(figsize=(11, 0.24 * len(order) + 1.5), dpi=110, layout="constrained")
    for number, (axes, title) in enumerate(
        zip(figure.subplots(1, len(FIGURES), sharey=True), FIGURES, strict=True)
    ):
        values = [seed[number] for seed in seeds]
        mean, spread = statistics.mean(values), statistics.stdev(values)
        axes.axvspan(mean - spread, mean + spread, color=GREY, alpha=0.25, linewidth=0)
        axes.axvline(mean, color=GREY)
        shown = [changes[name][number] for name in order]
        colours = [BLUE if value > mean else ORANGE for value in shown]
        axes.scatter(shown, range(len(order)), color=colours, s=22, zorder=3)
        axes.set_yticks(range(len(order)), [name.replace("_", " ") for name in order])
        axes.set_xlabel(title)
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_png(output_png)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, help="folder of CHANGE/SEED/results.json")
    parser.add_argument("unchanged", help="the change that is none")
    parser.add_argument("figure", type=Path, help="is written")
    given = parser.parse_args(argv)
    try:
        draw_study(collect(given.evaluations), given.unchanged, given.figure)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
