"""The study's tables and figure: ``python -m scripts.adapt.table STUDY > tables.md``.

STUDY is the folder of `scripts.adapt.study`. Writes STUDY/guard.png too.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import spearmanr  # type: ignore[import-untyped]
from scripts.adapt.label_scores import SCORES
from scripts.adapt.results import (
    Found,
    Numbers,
    best_rate,
    frozen_of,
    gains,
    guard_gains,
    mean_gain,
    read_scores,
    seeds_of,
    states,
)
from scripts.adapt.runs import RECIPE, RIVALS, TITLES, Run
from scripts.adapt.targets import Answer, Gain, ami_gains, answers, gain_of

from odc_lightning.metrics.adaptation import NAMES
from odc_lightning.reporting.figures.curves import BLUE, GREEN, GREY, ORANGE
from odc_lightning.reporting.tables import markdown_table

COLOURS = (
    BLUE,
    ORANGE,
    GREEN,
    "#CC79A7",
    GREY,
)  # of the data sets, repeated if there are more
SHOWN = 0.5  # largest change of the criterion in the figure; larger ones are drawn at its edge


class Pair(NamedTuple):
    """A trained state, and its changes from the frozen network.

    Attributes:
        data, method: their names.
        gain: mean of the four label scores.
        measures: of the guard, relative.
    """

    data: str
    method: str
    gain: float
    measures: Numbers


def score_table(found: Found, data: str) -> str:
    """The scores of a data set: those of the frozen network, and the gains of each method."""
    frozen = states(found, frozen_of(data))["start"]["scores"]
    rows = [[TITLES["frozen"], "", *(f"{100 * frozen[name]:.1f}" for name in SCORES)]]
    rows[0].append(f"{100 * frozen_ami(found, data):.1f}")
    for method, state in _rows(found, data):
        runs = seeds_of(found, data, method)
        seeds = [gains(found, run, state) for run in runs]
        rate = "own" if method == RECIPE else f"{best_rate(found, data, method):g}"
        title = TITLES[method] + (", last epoch" if state == "last" else "")
        rows.append([title, rate, *(_cell(gain_of(data, name, seeds)) for name in SCORES), "–"])
        if method == RECIPE and state is None:
            values = [{"AMI": value} for value in ami_gains(found, data)]
            rows[-1][-1] = _cell(gain_of(data, "AMI", values))
    return markdown_table(["", "learning rate", *SCORES.values(), "AMI of own clusters"], rows)


def frozen_ami(found: Found, data: str) -> float:
    """The AMI of K-Means on the frozen network's features."""
    value: float = found[frozen_of(data)]["frozen_ami"]
    return value


def pairs(found: Found) -> list[Pair]:
    """All trained states with measures, rivals and recipe, every learning rate and seed."""
    rows = [
        Pair(run.data, run.method, mean_gain(found, run, state), guard_gains(found, run, state))
        for run in found
        for state in _trained_states(found, run)
    ]
    return [row for row in rows if row.measures]


def correlation_table(rows: Sequence[Pair]) -> str:
    """Spearman's correlation of each measure's change with the gain, by data set and over all."""
    names = list(dict.fromkeys(row.data for row in rows))
    groups = [[row for row in rows if row.data == name] for name in names]
    lines = [
        [measure.replace("_", " "), *(_correlation(group, measure) for group in [*groups, rows])]
        for measure in ("criterion", *NAMES)
    ]
    heads = [f"{name} ({len(group)})" for name, group in zip(names, groups, strict=True)]
    return markdown_table(["", *heads, f"all ({len(rows)})"], lines)


def _correlation(rows: Sequence[Pair], measure: str) -> str:
    known = [(row.measures[measure], row.gain) for row in rows if measure in row.measures]
    changes, gained = zip(*known, strict=True) if known else ((), ())
    if len(known) < 3 or len(set(changes)) < 2 or len(set(gained)) < 2:
        return "–"  # not defined
    return f"{float(spearmanr(changes, gained).statistic):.2f}"


def draw_guard(rows: Sequence[Pair], output_png: Path) -> None:
    """Draw the criterion's change against the gain: a dot for each rival's run, a ring for ours."""
    names = list(dict.fromkeys(row.data for row in rows))
    figure = Figure(figsize=(7, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(names):
        for is_recipe in (False, True):
            own = [row for row in rows if (row.data, row.method == RECIPE) == (name, is_recipe)]
            colour = COLOURS[number % len(COLOURS)]
            axes.scatter(
                [100 * min(max(row.measures["criterion"], -SHOWN), SHOWN) for row in own],
                [100 * row.gain for row in own],
                s=60 if is_recipe else 16,
                facecolors="none" if is_recipe else colour,
                edgecolors=colour,
                label=None if is_recipe else name,
            )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("change of the criterion (%); rings: the recipe")
    axes.set_ylabel("mean gain of the four scores (points)")
    axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(output_png)


def target_table(found: Sequence[Answer]) -> str:
    """The answers as a table."""
    words = {True: "yes", False: "no", None: "–"}
    rows = [[answer.target, words[answer.reached], answer.reason] for answer in found]
    return markdown_table(["target", "reached", "by how much"], rows)


def report(study: Path, evaluations: Path | None = None) -> Iterator[str]:
    """The parts of the text.

    Args:
        study: folder of the study.
        evaluations: of Table 4's shape, see `starts_gain`.

    Raises:
        ValueError: there are no results.
    """
    found = read_scores(study / "runs")
    data = list(dict.fromkeys(run.data for run in found))
    with_recipe = [name for name in data if seeds_of(found, name, RECIPE)]
    for name in data:
        facts = found[frozen_of(name)]
        yield (
            f"**{name}**: {facts['num_images']:,} images, of which {facts['num_scored']:,} have "
            f"scores, in {facts['num_clusters']} clusters"
        )
        yield score_table(found, name)
    if with_recipe:
        timed = next((file.parent for file in study.glob("timed/*/summary.json")), None)
        yield target_table(answers(found, with_recipe, evaluations, timed))
    if rows := pairs(found):
        yield correlation_table(rows)
        draw_guard(rows, study / "guard.png")


def _trained_states(found: Found, run: Run) -> list[str]:
    """The last state, and the kept one if it is neither the last nor the start."""
    known = states(found, run)
    is_other = known.get("kept") != known.get("last") and found[run]["kept_epoch"]
    return [name for name in known if name == "last" or (name == "kept" and is_other)]


def _rows(found: Found, data: str) -> Iterator[tuple[str, str | None]]:
    """The methods of a table with the state of each; the recipe with its last epoch too."""
    if runs := seeds_of(found, data, RECIPE):
        yield RECIPE, None
        if all("last" in states(found, run) for run in runs):  # else some trained nothing
            yield RECIPE, "last"
    for method in RIVALS:
        if seeds_of(found, data, method):
            yield method, None


def _cell(gain: Gain) -> str:
    """Mean and spread in points."""
    spread = "" if math.isnan(gain.spread) else f" ± {100 * gain.spread:.1f}"
    return f"{100 * gain.mean:+.1f}{spread}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument(
        "--table-4", type=Path, metavar="EVALUATIONS", help="of make fine-tuning, for target 4"
    )
    given = parser.parse_args(argv)
    try:
        print("\n\n".join(report(given.study, given.table_4)))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
