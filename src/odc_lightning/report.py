"""A report as one HTML file: ``python -m odc_lightning.report RUN ... [--out FILE]``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.cli.arguments import OneLineParser
from odc_lightning.reporting.report_page import build_report, find_runs
from odc_lightning.utils.text import printable, quantity


def argument_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = OneLineParser(
        prog="python -m odc_lightning.report",
        description="Write a report of runs, sweeps and evaluations as one self-contained HTML "
        "file, which opens in any browser without an internet connection.",
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folder of a run, an evaluation or a cluster page, or a folder that contains some",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.html",
        help="default: report.html in the first folder",
    )
    parser.add_argument("--title", help="title of the page; default: the names of the runs")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    output = arguments.out or arguments.folders[0] / "report.html"
    try:
        if output.suffix != ".html" or output.is_dir():
            raise ValueError(f"--out {output}: expected the name of a file that ends in .html")
        found = find_runs(arguments.folders)
    except ValueError as error:
        parser.error(printable(str(error)))
    try:
        build_report(found, output, arguments.title)
    except OSError as error:
        reason = f"cannot write {output} ({error.strerror})"
        parser.error(printable(f"{reason}; choose another file with --out"))
    parts = [
        (len(found.runs), "run"),
        (len(found.evaluations), "evaluation"),
        (len(found.cluster_pages), "contact sheet"),
    ]
    counts = ", ".join(quantity(number, noun) for number, noun in parts if number)
    print(f"{counts}; {output.stat().st_size / 1e6:.1f} MB")
    for problem in found.problems:
        print(f"not read: {printable(problem)}")
    print(printable(output))


if __name__ == "__main__":
    main()
