"""Draw one of the studies of `make small-data-study`.

``python -m scripts.small_data.study_figure EVALUATIONS UNCHANGED FIGURE.png``

There is one row per change and one panel per score. The band shows the unchanged run: the mean of
its seeds plus and minus one standard deviation, the effect of the seed alone.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scripts.small_data.table import FIGURES, Figures, collect

from odc_lightning.reporting.figures.curves import BLUE, GREY, ORANGE


def draw_study(results: dict[str, list[Figures]], unchanged: str, output_png: Path) -> None:
    """Draw a dot for each change, and a band for the unchanged run.

    Args:
        results: name -> the four figures of each seed, in percent.
        unchanged: name of the run from which all others differ by one change.
        output_png: the file to write.

    Raises:
        ValueError: ``unchanged`` has fewer than two seeds, or is missing.
    """
    seeds = results.get(unchanged, [])
    if len(seeds) < 2:
        raise ValueError(f"{unchanged} has {len(seeds)} evaluations; expected two seeds or more")
    changes = {name: runs[0] for name, runs in results.items() if name != unchanged}
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
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, help="folder of CHANGE/SEED/results.json")
    parser.add_argument("unchanged", help="name of the unchanged run among them")
    parser.add_argument("figure", type=Path, help="the figure to write")
    given = parser.parse_args(argv)
    try:
        draw_study(collect(given.evaluations), given.unchanged, given.figure)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
