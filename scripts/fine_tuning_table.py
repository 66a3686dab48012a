"""Print Table 4 of finished evaluations: ``python scripts/fine_tuning_table.py EVALUATIONS``.

EVALUATIONS holds a ``results.json`` in METHOD/START/SEED/ for every network: method ``original``,
``dc`` or ``odc``, start the experiment that the network comes from; and ``untrained/none/SEED/``.
"""

import argparse
from pathlib import Path

from odc_lightning.evaluation.scores import Score
from odc_lightning.report import markdown_table, mean_and_spread, read_results

METHODS = {"original": "original", "dc": "DC", "odc": "ODC"}
STARTS = {
    "colorization_photos": "Col.",
    "jigsaw_fashion_mnist": "Jig.",
    "rotation_fashion_mnist": "Rot.",
    "dc_fashion_mnist": "DC",
}

UNTRAINED = ("untrained", "none")


def collect(folder: Path) -> dict[tuple[str, str], list[list[Score]]]:
    """The scores of each (method, start), a list a seed."""
    found: dict[tuple[str, str], list[list[Score]]] = {}
    for file in sorted(folder.glob("*/*/*/results.json")):
        *_, method, start, _, _ = file.parts
        found.setdefault((method, start), []).append(read_results(file).scores)
    return found


def table(found: dict[tuple[str, str], list[list[Score]]], which: tuple[str, str, str]) -> str:
    """One measure as a Markdown table, in percent, with the standard deviation over seeds."""
    rows = []
    for method, title in METHODS.items():
        cells = [cell(found.get((method, start), []), which) for start in STARTS]
        rows.append([title, *cells])
    return markdown_table(["", *STARTS.values()], rows)


def cell(seeds: list[list[Score]], which: tuple[str, str, str]) -> str:
    """Mean and spread of one measure, or a dash."""
    values = [
        100 * score.value
        for scores in seeds
        for score in scores
        if (score.protocol, score.metric, score.setting) == which
    ]
    return mean_and_spread(values) if values else "–"


def measures(found: dict[tuple[str, str], list[list[Score]]]) -> list[tuple[str, str, str]]:
    """Every measure that was taken, in the order in which it was."""
    taken = (
        (score.protocol, score.metric, score.setting)
        for seeds in found.values()
        for scores in seeds
        for score in scores
    )
    return list(dict.fromkeys(taken))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, metavar="EVALUATIONS")
    arguments = parser.parse_args()
    scores = collect(arguments.evaluations)
    if not scores:
        parser.error(f"{arguments.evaluations} has no METHOD/START/SEED/results.json")
    for measure in measures(scores):
        print(f"{' '.join(filter(None, measure))} (%):\n\n{table(scores, measure)}\n")
        print(f"Untrained network: {cell(scores.get(UNTRAINED, []), measure)}\n")
