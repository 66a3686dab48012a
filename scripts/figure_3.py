"""Figure 3, low-shot scores: ``python scripts/figure_3.py RESULTS ... out.png``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.reporting.figures import draw_low_shot
from odc_lightning.runs.results import read_results


def main(argv: Sequence[str] | None = None) -> None:
    """Draw one line per evaluation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help="folder with a results.json"
    )
    parser.add_argument("figure", type=Path, metavar="FILE.png", help="the figure to write")
    arguments = parser.parse_args(argv)
    try:
        evaluations = [read_results(folder / "results.json") for folder in arguments.results]
        draw_low_shot(evaluations, arguments.figure)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
