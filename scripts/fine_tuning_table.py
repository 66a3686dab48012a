"""Print Table 4 of finished evaluations: ``python scripts/fine_tuning_table.py EVALUATIONS``.

EVALUATIONS holds a ``results.json`` in METHOD/START/SEED/ for every network: method ``original``,
``dc`` or ``odc``, start the experiment that the network comes from; and ``untrained/none/SEED/``.
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
