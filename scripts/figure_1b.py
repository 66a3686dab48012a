"""Figure 1b, losses on one axis: ``python scripts/figure_1b.py ODC=RUN DC=RUN out.png``."""

import argparse
from pathlib import Path

from odc_lightning.reporting.figures import draw_losses
from odc_lightning.runs.summary import read_summary


def main() -> None:
    """Group the runs by name and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="+", metavar="NAME=RUN_DIR", help="a run; runs of the same name are seeds"
    )
    parser.add_argument("figure", type=Path, metavar="FILE.png", help="the figure to write")
    arguments = parser.parse_args()
    methods: dict[str, list[Path]] = {}
    for run in arguments.runs:
        name, equals, folder = run.partition("=")
        if not equals:
            parser.error(f"expected NAME=RUN_DIR, got {run!r}")
        methods.setdefault(name, []).append(Path(folder))
    try:
        draw_losses(methods, arguments.figure, common_clusters(methods))
    except ValueError as error:
        parser.error(str(error))


def common_clusters(methods: dict[str, list[Path]]) -> int | None:
    """C, if it is the same in all finished runs; else None."""
    files = [run / "summary.json" for runs in methods.values() for run in runs]
    known = {read_summary(file)["num_clusters"] for file in files if file.is_file()}
    return known.pop() if len(known) == 1 else None


if __name__ == "__main__":
    main()
