"""Reading ``metrics.csv``, as Lightning's CSVLogger writes it."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Series(NamedTuple):
    """The K values of one metric, in the order in which they were logged.

    Attributes:
        steps: (K,) optimiser steps done by then.
        epochs: (K,) epochs, from 0; -1 for what was logged before training.
        values: (K,) values; NaN where the run logged a NaN.
    """

    steps: np.ndarray
    epochs: np.ndarray
    values: np.ndarray


def read_metrics(path: Path | str) -> dict[str, Series]:
    """Read all metrics that have a value at all.

    Args:
        path: of ``metrics.csv``: one column a metric plus ``step`` and ``epoch``; a cell is empty
            where a metric was not logged.

    Raises:
        ValueError: the file has no column ``step`` or ``epoch``.
    """
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if columns and not {"step", "epoch"} <= set(columns):
            raise ValueError(
                f"{path} has the columns {list(columns)}, expected 'step' and 'epoch' among them; "
                "give the metrics.csv of Lightning's CSVLogger"
            )
        names = [name for name in columns if name not in ("step", "epoch")]
        for row in reader:
            for name in names:
                if row[name]:
                    place = float(row["step"]), float(row["epoch"] or -1)
                    rows[name].append((*place, float(row[name])))
    return {name: Series(*np.array(values).T) for name, values in rows.items()}


def steps_per_epoch(metrics: Mapping[str, Series]) -> int | None:
    """How many steps the first epoch has; None if nothing was logged in it.

    What is logged once an epoch is logged at its last step.
    """
    first = [series.steps[series.epochs == 0] for series in metrics.values()]
    last = [int(steps.max()) for steps in first if len(steps)]
    return 1 + max(last) if last else None
