"""Print evaluations side by side: ``python scripts/evaluation_table.py RESULTS ...``."""

import argparse
import sys
from pathlib import Path

from odc_lightning.reporting.figures import draw_low_shot
from odc_lightning.reporting.tables import evaluation_table
from odc_lightning.runs.results import read_results


def main() -> None:
    """Read the results, print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULTS",
        help="a results.json, or its folder",
    )
    parser.add_argument(
        "--figure", type=Path, metavar="FILE.png", help="also draw all low-shot scores"
    )
    arguments = parser.parse_args()
    evaluations = []
    for path in arguments.results:
        file = path / "results.json" if path.is_dir() else path
        if file.is_file():
            try:
                evaluations.append(read_results(file))
            except ValueError as error:
                parser.error(str(error))
        else:
            print(f"{path}: not a finished evaluation, there is no {file}", file=sys.stderr)
    if evaluations:
        print(evaluation_table(evaluations), end="")
    if arguments.figure:
        try:
            draw_low_shot(evaluations, arguments.figure)
        except ValueError as error:
            parser.error(str(error))


if __name__ == "__main__":
    main()
