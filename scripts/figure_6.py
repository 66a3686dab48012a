"""Figure 6, classes of unequal sizes: ``python scripts/figure_6.py EVALUATIONS out.png``.

EVALUATIONS are of the runs of a sweep, on images of their own; the paper's on VOC07 are drawn with
``--score svm_map``. A sweep itself will do too; then the kNN searches among the images of its tail.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.reporting.figures import SCORES, SweepPanel, draw_sweeps, read_sweep

KEY = "data.subset.imbalance"


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the score over the imbalance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, metavar="EVALUATIONS")
    parser.add_argument("figure", type=Path, metavar="FILE.png")
    parser.add_argument("--score", choices=SCORES, default="knn_top1")
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
