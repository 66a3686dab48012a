"""``metrics.csv``, which a run that goes on adds to."""

import csv
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter


class MetricsFile(CSVLogger):
    """Lightning's CSV logger, which keeps what was logged before a run was interrupted.

    It writes when a checkpoint is written too, so that a run that goes on from there has all rows.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """As `CSVLogger`."""
        super().__init__(*args, **settings)
        self._kept: list[dict[str, str]] = []

    def continue_from(self, step: int) -> None:
        """Keep the rows of the first ``step`` steps; to be called before anything is logged."""
        file = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
        if file.is_file():
            with file.open(newline="", encoding="utf-8") as opened:
                self._kept = [row for row in csv.DictReader(opened) if int(row["step"]) < step]

    @property
    def experiment(self) -> Any:
        """The writer; Lightning's deletes the old file when it is made."""
        is_new = self._experiment is None
        writer = super().experiment
        if is_new and self._kept and isinstance(writer, ExperimentWriter):
            writer.metrics_keys = list(self._kept[0])
            with Path(writer.metrics_file_path).open("w", newline="", encoding="utf-8") as file:
                rows = csv.DictWriter(file, fieldnames=writer.metrics_keys)
                rows.writeheader()
                rows.writerows(self._kept)
        return writer

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Write what has been logged."""
        self.save()
