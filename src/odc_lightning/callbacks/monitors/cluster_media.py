"""Pictures of the clusters while a run goes on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from odc_lightning.callbacks.monitors.label_scores import is_due
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.reporting.figures import choose_rows, draw_sheet, draw_strips

SHEET, GALLERY = "clusters/contact_sheet", "clusters/gallery"
# Bounds of what is drawn, whatever N and C are.
ROWS, COLUMNS, SIDE = 12, 10, 64


class ClusterMedia(pl.Callback):
    """Draw some clusters every n epochs, the images nearest to their centroids, on rank 0.

    A PNG goes into the run's folder. W&B and TensorBoard get the same sheet as
    ``clusters/contact_sheet`` and its rows one by one as ``clusters/gallery``. Without clusters
    there is nothing to draw.
    """

    def __init__(self, folder: str, every_n_epochs: int = 10) -> None:
        """Choose where and when.

        Args:
            folder: for the PNG files.
            every_n_epochs: besides the last.

        Raises:
            ValueError: if ``every_n_epochs`` is less than 1.
        """
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}")
        self.folder = Path(folder)
        self.every_n_epochs = every_n_epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw when it is time."""
        owner = PseudoLabels.find(trainer)
        due = is_due(trainer, self.every_n_epochs)
        if not due or owner is None or not trainer.is_global_zero:
            return
        source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
        labels, distances = owner.labels.cpu().numpy(), owner.distances().cpu().numpy()
        rows = choose_rows(labels, distances, "size", ROWS, COLUMNS)
        strips = draw_strips(source, rows, SIDE)
        sheet = draw_sheet(rows, strips)
        self.folder.mkdir(parents=True, exist_ok=True)
        sheet.save(self.folder / f"epoch_{trainer.current_epoch + 1:04}.png")
        step = trainer.global_step - 1  # as Lightning counts what is logged at an epoch's end
        captions = [row.caption for row in rows]
        for logger in trainer.loggers:
            _send(logger, SHEET, [sheet], [f"epoch {trainer.current_epoch + 1}"], step)
            _send(logger, GALLERY, strips, captions, step)


def _send(
    logger: Logger, key: str, images: Sequence[Image.Image], captions: Sequence[str], step: int
) -> None:
    """Give images to a logger that takes some; TensorBoard has no captions."""
    if isinstance(logger, WandbLogger):
        logger.log_image(key, list(images), step, caption=list(captions))
    elif isinstance(logger, TensorBoardLogger):
        stacked = np.stack([np.asarray(image) for image in images])
        logger.experiment.add_images(key, stacked, step, dataformats="NHWC")
