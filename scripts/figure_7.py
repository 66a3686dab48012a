"""Figure 7, clusters as rows of images: ``python scripts/figure_7.py RUN out.png``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.checkpoints import TrainingRun, refuse_unknown_targets
from odc_lightning.reporting.figures import draw_sheet, draw_strips, read_rows
from odc_lightning.runs.images import images_of_run
from odc_lightning.runs.locate import locate

ROWS, COLUMNS, SIDE = 12, 12, 96


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the clusters of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("figure", type=Path, metavar="FILE.png", help="the figure to write")
    parser.add_argument("--images", metavar="FOLDER", help="the run's images, if they have moved")
    arguments = parser.parse_args(argv)
    try:
        config, clusters = arguments.run / "config.yaml", arguments.run / "clusters.csv"
        for file in (config, clusters):
            if not file.is_file():
                raise ValueError(f"there is no {file}; expected the folder of a finished run")
        run = TrainingRun(arguments.run, arguments.run / "checkpoints" / "last.ckpt")
        data = run.config.data
        locate(data, run, arguments.images)
        refuse_unknown_targets(data, "config.yaml")
        source = images_of_run(data, run.image_names())
        rows = read_rows(clusters, source.labels, ROWS, COLUMNS)
        sheet = draw_sheet(rows, draw_strips(source, rows, SIDE), source.class_names)
        sheet.save(arguments.figure, "PNG")
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
