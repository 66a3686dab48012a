"""Figure 4, interval of centroid updates and threshold of small clusters.

``python scripts/figure_4.py SWEEP_OF_INTERVALS SWEEP_OF_SIZES out.png``

Instead of a sweep, give a folder with evaluations of its runs, such as those on VOC07 in the paper
(``--score svm_map``).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.reporting.figures import SCORES, SweepPanel, draw_sweeps, read_sweep

STUDIES = (
    (
        "algorithm.centroid_refresh.every_n_steps",
        "Interval of centroid updates",
        "steps between two updates of the centroids",
    ),
    (
        "algorithm.small_clusters.threshold",
        "Size up to which a cluster is small",
        "images in a cluster",
    ),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw both panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("intervals", type=Path, metavar="SWEEP_OF_INTERVALS")
    parser.add_argument("sizes", type=Path, metavar="SWEEP_OF_SIZES")
    parser.add_argument("figure", type=Path, metavar="FILE.png", help="the figure to write")
    parser.add_argument(
        "--score", choices=SCORES, default="knn_top1", help="the score to draw; default: knn_top1"
    )
    arguments = parser.parse_args(argv)
    score = arguments.score
    try:
        panels = [
            SweepPanel(title, name, read_sweep(sweep, key, score))
            for sweep, (key, title, name) in zip(
                (arguments.intervals, arguments.sizes), STUDIES, strict=True
            )
        ]
    except ValueError as error:
        parser.error(str(error))
    draw_sweeps(panels, SCORES[score].title, arguments.figure)


if __name__ == "__main__":
    main()
