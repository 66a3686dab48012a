"""Table of the image behind each index, written before training starts."""

from pathlib import Path

import pytorch_lightning as pl

from odc_lightning.runs.csv_files import write_index_table


class IndexTable(pl.Callback):
    """Write ``index.csv`` (index, path) once the data set has been set up."""

    def __init__(self, path: str) -> None:
        """Set the path of the table."""
        self.path = Path(path)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the table on rank 0, after a resumed run has been checked for equal images."""
        if trainer.is_global_zero:
            source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_index_table(self.path, [source.name(index) for index in range(len(source))])
