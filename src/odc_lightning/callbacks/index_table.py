"""Which file the i-th sample is, on disk before training starts."""

from pathlib import Path

import pytorch_lightning as pl

from odc_lightning.report import write_index_table


class IndexTable(pl.Callback):
    """Write ``index.csv`` (index, path) when the data set is known."""

    def __init__(self, path: str) -> None:
        """Keep where to write."""
        self.path = Path(path)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """On rank 0; the datamodule has been set up by now."""
        if stage == "fit" and trainer.is_global_zero:
            source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_index_table(self.path, [source.name(index) for index in range(len(source))])
