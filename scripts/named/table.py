"""The study's tables: ``python -m scripts.named.table STUDY > tables.md``.

STUDY is the folder of `scripts.named.study`; runs that are missing are left out.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.named.scores import FILE
from scripts.named.study import FROZEN, NONE, Run

from odc_lightning.reporting.tables import markdown_table
from odc_lightning.reporting.tables.markdown import mean_and_spread
from odc_lightning.utils.json_file import read_json

Found = dict[Run, dict[str, Any]]


def read_scores(study: Path) -> Found:
    """The scores of each run.

    Raises:
        ValueError: there are none.
    """
    files = sorted((study / "runs").glob(f"*/*/*/{FILE}"))
    if not files:
        raise ValueError(f"{study}/runs has no DATA/NAMED/SEED/{FILE}")
    return {Run.at(file.parent): read_json(file) for file in files}


def report(found: Found) -> Iterator[str]:
    """A table for each data set: a row for each network, and a column for each number of names."""
    for data in sorted({run.data for run in found}):
        counts = sorted(
            {int(run.named) for run in found if run.named.isdigit() and run.data == data}
        )
        seeds = sorted({run.seed for run in found if run.data == data and run.named.isdigit()})
        yield f"**{data}**: accuracy of a linear classifier on test images; then AMI of clusters"
        rows = []
        for score in ("accuracy", "balanced", "ami", "seeded_ami"):
            for title, kind, state in (
                ("frozen network", FROZEN, "start"),
                ("adapted without names", NONE, "kept"),
                ("adapted with names", None, "kept"),
                ("the same, last epoch", None, "last"),
            ):
                cells = [
                    _cell(found, data, kind or str(count), state, count, seeds, score)
                    for count in counts
                ]
                rows.append([f"{score}: {title}", *cells])
        yield markdown_table(["", *(f"{count} a class" for count in counts)], rows)


def _cell(
    found: Found, data: str, named: str, state: str, count: int, seeds: Sequence[int], score: str
) -> str:
    values = []
    for seed in seeds:
        runs = [run for run in found if (run.data, run.named) == (data, named)]
        own = runs if named == FROZEN else [run for run in runs if run.seed == seed]
        for run in own:
            of_table = found[run].get(state, {}).get(f"{count}_{seed}")
            if of_table is not None:
                values.append(100 * of_table[score])
    return mean_and_spread(values) if values else "–"


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, metavar="STUDY")
    given = parser.parse_args(argv)
    try:
        print("\n\n".join(report(read_scores(given.study))))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
