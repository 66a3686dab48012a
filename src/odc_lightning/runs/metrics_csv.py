"""``metrics.csv``: its logger, which continues the file of a resumed run, and its reader."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.core.saving import save_hparams_to_yaml
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from odc_lightning.utils.text import first_line
from odc_lightning.utils.whole_files import whole_file

Row = Mapping[str, Any]


class MetricsFile(CSVLogger):
    """Lightning's CSV logger, which keeps the rows that were logged before an interruption.

    It also writes whenever a checkpoint is saved, so that a run resumed from the checkpoint has all
    rows.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Take the arguments of `CSVLogger`."""
        super().__init__(*args, **settings)
        self._kept: list[Row] = []
        self._writer: _Writer | None = None

    @property
    def file(self) -> Path:
        """The path of ``metrics.csv``."""
        return Path(self.log_dir) / "metrics.csv"

    def continue_from(self, step: int) -> None:
        """Keep the rows of the first ``step`` steps; call this before anything is logged."""
        if self.file.is_file():
            self._kept = [row for row in whole_rows(self.file) if int(row["step"]) < step]

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, on rank 0."""
        if self._writer is None:
            self._writer = _Writer(self.file, self._kept)
        return self._writer

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Write the logged rows."""
        self.save()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the logged rows, if there are any."""
        if self._writer is not None:
            self.save()


class _Writer:
    """A writer with the interface of Lightning's, which does not delete the previous file.

    Lightning's writer deletes it when it is created, before the run's settings are accepted. Here
    the new file replaces the old one as a whole, once there are rows to write.

    Attributes:
        metrics: rows that are not written yet.
    """

    def __init__(self, file: Path, kept: Sequence[Row]) -> None:
        self.metrics: list[Row] = []
        self._file = file
        self._kept = kept
        self._columns: list[str] = []  # of the file; none until the first row is written
        self._hparams: dict[str, Any] = {}
        file.parent.mkdir(parents=True, exist_ok=True)

    def log_metrics(self, metrics: Mapping[str, Tensor | float], step: int) -> None:
        """Add a row."""
        values = {
            name: value.item() if isinstance(value, Tensor) else value
            for name, value in metrics.items()
        }
        self.metrics.append({**values, "step": step})

    def log_hparams(self, params: Mapping[str, Any]) -> None:
        """Add settings to ``hparams.yaml``."""
        self._hparams.update(params)
        save_hparams_to_yaml(self._file.with_name("hparams.yaml"), self._hparams)

    def save(self) -> None:
        """Write the rows; if there are new columns, rewrite the file."""
        if not self.metrics:
            return
        first, there = not self._columns, self._file.is_file()
        former = list(self._kept[0]) if first and self._kept else self._columns
        columns = sorted({*former}.union(*self.metrics))
        if columns == self._columns and there:
            with self._file.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, columns).writerows(self.metrics)
        else:
            rows = self._kept if first else whole_rows(self._file) if there else []
            self._replace(columns, [*rows, *self.metrics])
        self._columns, self.metrics = columns, []

    def _replace(self, columns: Sequence[str], rows: Sequence[Row]) -> None:
        with (
            whole_file(self._file) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


def whole_rows(file: Path) -> list[Row]:
    """The rows of a ``metrics.csv``, without a last one that a killed process left incomplete."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        del lines[-1]
    return list(csv.DictReader(lines))


class Series(NamedTuple):
    """The K values of one metric, in the order in which they were logged.

    Attributes:
        steps: (K,) optimiser steps done at that time.
        epochs: (K,) epochs from 0; -1 for values from before training.
        values: (K,) values; NaN where the run logged a NaN.
    """

    steps: np.ndarray
    epochs: np.ndarray
    values: np.ndarray


def read_metrics(path: Path | str) -> dict[str, Series]:
    """Read all metrics that have at least one value.

    Args:
        path: a ``metrics.csv`` with one column per metric, plus ``step`` and ``epoch``; a cell is
            empty if the metric was not logged.

    Raises:
        ValueError: the file is damaged, or has no column ``step`` or ``epoch``.
    """
    try:
        return _read_metrics(Path(path))
    except (csv.Error, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read: {first_line(error)}; restore it from a copy, or delete it"
        ) from error


def _read_metrics(path: Path) -> dict[str, Series]:
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if columns and not {"step", "epoch"} <= set(columns):
            raise ValueError(
                f"it has the columns {list(columns)}, expected 'step' and 'epoch' among them, as "
                "in the metrics.csv of Lightning's CSVLogger"
            )
        names = [name for name in columns if name not in ("step", "epoch")]
        for row in reader:
            for name in names:
                if row[name]:
                    place = float(row["step"]), float(row["epoch"] or -1)
                    rows[name].append((*place, float(row[name])))
    return {name: Series(*np.array(values).T) for name, values in rows.items()}


def steps_per_epoch(metrics: Mapping[str, Series]) -> int | None:
    """The number of steps in the first epoch; None if nothing was logged in it.

    Metrics of a whole epoch are logged at its last step.
    """
    first = [series.steps[series.epochs == 0] for series in metrics.values()]
    last = [int(steps.max()) for steps in first if len(steps)]
    return 1 + max(last) if last else None
