"""Print finished evaluations as Table 4: ``python scripts/fine_tuning_table.py EVALUATIONS``.

EVALUATIONS holds METHOD/START/SEED/results.json for every network, where METHOD is ``original``,
``dc``, ``odc`` or ``adapt`` and START is the experiment of the pretrained weights; and
``untrained/none/SEED/``.
"""

import argparse
from pathlib import Path

from odc_lightning.reporting.tables import fine_tuning_tables

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, metavar="EVALUATIONS")
    arguments = parser.parse_args()
    try:
        print(fine_tuning_tables(arguments.evaluations))
    except ValueError as error:
        parser.error(str(error))
