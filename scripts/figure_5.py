"""Figure 5, stability of the labels: ``python scripts/figure_5.py NAME=RUN ... out.png``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.reporting.figures import draw_stability


def main(argv: Sequence[str] | None = None) -> None:
    """Group the runs by name and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="+", metavar="NAME=RUN", help="a run; runs of the same name are seeds"
    )
    parser.add_argument("figure", type=Path, metavar="FILE.png", help="the figure to write")
    arguments = parser.parse_args(argv)
    networks: dict[str, list[Path]] = {}
    for run in arguments.runs:
        name, equals, folder = run.partition("=")
        if not equals:
            parser.error(f"expected NAME=RUN, got {run!r}")
        networks.setdefault(name, []).append(Path(folder))
    try:
        draw_stability(networks, arguments.figure)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
