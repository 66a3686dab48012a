"""Tables 1 to 4 next to the paper's: ``python scripts/tables.py FOLDER [--fine-tuning FOLDER]``.

FOLDER holds evaluations at any depth; those with the same name are seeds. The fine-tuning folder
holds METHOD/START/SEED/, see `scripts/fine_tuning_table.py`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from odc_lightning.reporting.tables import fine_tuning_tables, paper_tables, published_table_4
from odc_lightning.runs.results import read_results


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--fine-tuning", type=Path, metavar="FOLDER")
    arguments = parser.parse_args(argv)
    files = [file for folder in arguments.evaluations for file in folder.rglob("results.json")]
    if not files:
        parser.error(f"{', '.join(map(str, arguments.evaluations))}: there is no results.json")
    try:
        print(paper_tables([read_results(file) for file in sorted(files)]))
        print(f"### Table 4: fine-tuning, VOC07 SVM, mAP (%) (paper)\n\n{published_table_4()}")
        if arguments.fine_tuning:
            print(f"\n### In place of Table 4\n\n{fine_tuning_tables(arguments.fine_tuning)}")
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
