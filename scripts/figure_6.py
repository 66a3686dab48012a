"""Figure 6, classes of unequal sizes: ``python scripts/figure_6.py EVALUATIONS out.png``.

EVALUATIONS is a folder with evaluations of the runs of a sweep on other images; for VOC07, as in
the paper, add ``--score svm_map``. A sweep's own folder works too; then kNN searches among the
images of the long-tailed training set.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.reporting.figures import SCORES, SweepPanel, draw_sweeps, read_sweep

KEY = "data.subset.imbalance"


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the score against the imbalance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, metavar="EVALUATIONS")
    parser.add_argument("figure", type=Path, metavar="FILE.png", help="the figure to write")
    parser.add_argument(
        "--score", choices=SCORES, default="knn_top1", help="the score to draw; default: knn_top1"
    )
    arguments = parser.parse_args(argv)
    try:
        points = read_sweep(arguments.evaluations, KEY, arguments.score)
    except ValueError as error:
        parser.error(str(error))
    panel = SweepPanel(
        "Trained on a long tail",
        "images of the largest class over those of the smallest",
        points,
    )
    draw_sweeps([panel], SCORES[arguments.score].title, arguments.figure)


if __name__ == "__main__":
    main()
