"""Print the results of `make small-data`: ``python scripts/small_data/table.py EVALUATIONS``.

EVALUATIONS holds METHOD/SEED/results.json for every network. The first table has four figures of
each method. The second has their position between the untrained (0 %) and the supervised network
(100 %).
"""

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.tables import markdown_table, mean_and_spread
from odc_lightning.runs.results import read_results

METHODS = {
    "untrained": "untrained",
    "odc_small": "ODC for small data",
    "odc": "ODC as published",
    "dc": "DeepCluster",
    "dcv2": "DeepCluster-v2",
    "rotation": "rotation",
    "simclr": "SimCLR",
    "swav": "SwAV",
    "supervised": "supervised",
}
FLOOR, CEILING = "untrained", "supervised"

# Title -> protocol, metric and setting, all of the pooled features. The setting of the clustering,
# its number of clusters, is not checked.
FIGURES = {
    "kNN top-1 (%)": ("knn", "top1", "k=20"),
    "10-shot top-1 (%)": ("low_shot", "top1", "10 shots"),
    "linear top-1 (%)": ("linear", "top1", ""),
    "NMI of K-Means (%)": ("clustering", "nmi", None),
}

Figures = list[float]  # in percent, one for each of `FIGURES`


def collect(folder: Path) -> dict[str, list[Figures]]:
    """The figures of each method, one list per seed, in the order of `METHODS`.

    Raises:
        ValueError: there is no evaluation, or one lacks a figure.
    """
    found: dict[str, list[Figures]] = {}
    for file in sorted(folder.glob("*/*/results.json")):
        method = file.parts[-3]
        found.setdefault(method, []).append(figures(read_results(file), file))
    if not found:
        raise ValueError(f"{folder} has no METHOD/SEED/results.json")
    places = [*METHODS, *found]  # unknown methods come last
    return dict(sorted(found.items(), key=lambda item: places.index(item[0])))


def figures(evaluation: Evaluation, file: Path) -> Figures:
    """The four figures of one network, in percent."""

    def value(title: str, protocol: str, metric: str, setting: str | None) -> float:
        def fits(score: Score) -> bool:
            known = (score.protocol, score.layer, score.metric)
            return known == (protocol, "pooled", metric) and setting in (None, score.setting)

        values = [score.value for score in evaluation.scores if fits(score)]
        if len(values) != 1 or not math.isfinite(values[0]):
            raise ValueError(
                f"{file} has the values {values} for {title}; expected one, as "
                "benchmark=small_data measures it"
            )
        return 100 * values[0]

    return [value(title, *which) for title, which in FIGURES.items()]


def score_table(found: Mapping[str, list[Figures]]) -> str:
    """A table of the means and standard deviations over the seeds."""
    rows = [
        [title_of(method), *(mean_and_spread(column) for column in zip(*seeds, strict=True))]
        for method, seeds in found.items()
    ]
    return markdown_table(["method", *FIGURES], rows)


def share_table(found: Mapping[str, list[Figures]]) -> str:
    """A table of each method's mean between `FLOOR` (0 %) and `CEILING` (100 %).

    Raises:
        ValueError: one of these two is missing.
    """
    missing = [method for method in (FLOOR, CEILING) if method not in found]
    if missing:
        raise ValueError(f"there is no evaluation of: {', '.join(missing)}")
    means = {
        method: [statistics.fmean(column) for column in zip(*seeds, strict=True)]
        for method, seeds in found.items()
    }
    rows = [
        [title_of(method), *map(share, values, means[FLOOR], means[CEILING])]
        for method, values in means.items()
        if method not in (FLOOR, CEILING)
    ]
    return markdown_table(["method", *(title.removesuffix(" (%)") for title in FIGURES)], rows)


def share(value: float, floor: float, ceiling: float) -> str:
    """``50 %`` for a value halfway; a dash if supervision gains nothing."""
    return f"{100 * (value - floor) / (ceiling - floor):z.0f} %" if ceiling > floor else "–"


def title_of(method: str) -> str:
    return METHODS.get(method, method)


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, metavar="EVALUATIONS")
    arguments = parser.parse_args(argv)
    try:
        found = collect(arguments.evaluations)
    except ValueError as error:
        parser.error(str(error))
    print(score_table(found))
    if {FLOOR, CEILING} <= found.keys():
        print(f"\nOf the way from {FLOOR} to {CEILING}:\n\n{share_table(found)}")


if __name__ == "__main__":
    main()
