"""Which file the i-th sample is, on disk before training starts."""

from pathlib import Path

import pytorch_lightning as pl

from odc_lightning.runs.csv_files import write_index_table


class IndexTable(pl.Callback):
    """Write ``index.csv`` (index, path) when the data set is known."""

    def __init__(self, path: str) -> None:
        """Keep where to write."""
        self.path = Path(path)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """On rank 0, when a continued run has been found to be about the same images."""
        if trainer.is_global_zero:
            source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_index_table(self.path, [source.name(index) for index in range(len(source))])
