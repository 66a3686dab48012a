"""``metrics.csv``: the logger that writes it, which a resumed run adds to, and its reader."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

Row = Mapping[str, Any]


class MetricsFile(CSVLogger):
    """Lightning's CSV logger, which keeps what was logged before a run was interrupted.

    It also writes when a checkpoint is written, so that a run that goes on from there has all rows.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """As `CSVLogger`."""
        super().__init__(*args, **settings)
        self._kept: list[Row] = []

    def continue_from(self, step: int) -> None:
        """Keep the rows of the first ``step`` steps; to be called before anything is logged."""
        file = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
        if file.is_file():
            self._kept = [row for row in whole_rows(file) if int(row["step"]) < step]

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, on rank 0."""
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir, self._kept)
        return self._experiment

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Write what has been logged."""
        self.save()


class _Writer(ExperimentWriter):
    """Lightning's, which deletes the file of before when it is made, and this one does not.

    That happens before a run is accepted. Here the new file replaces the old one as a whole, when
    there is something to write.
    """

    def __init__(self, log_dir: str, kept: Sequence[Row]) -> None:
        super().__init__(log_dir)
        self._kept = kept
        self._has_begun = False

    def save(self) -> None:
        """Add what has been logged."""
        if self.metrics and not self._has_begun:
            self._has_begun = True
            if self._kept:
                self.metrics_keys = list(self._kept[0])
                self._replace(self._kept)
            else:
                Path(self.metrics_file_path).unlink(missing_ok=True)
        super().save()

    def _check_log_dir_exists(self) -> None:
        """It does: Hydra's files are there."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._replace(whole_rows(Path(self.metrics_file_path)))

    def _replace(self, rows: Sequence[Row]) -> None:
        unfinished = Path(f"{self.metrics_file_path}.tmp")
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        unfinished.replace(self.metrics_file_path)


def whole_rows(file: Path) -> list[Row]:
    """The rows of a ``metrics.csv``, without a last one that a killed process has not finished."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        del lines[-1]
    return list(csv.DictReader(lines))


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
