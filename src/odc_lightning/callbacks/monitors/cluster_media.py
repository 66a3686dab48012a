"""Pictures of the clusters during training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from odc_lightning.callbacks.monitors.label_scores import is_due
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.reporting.figures import choose_rows, draw_sheet, draw_strips
from odc_lightning.utils.optional import logged_failure

SHEET, GALLERY = "clusters/contact_sheet", "clusters/gallery"
# Maximum rows (clusters) and columns (images) of a sheet, and the side of an image in pixels.
ROWS, COLUMNS, SIDE = 12, 10, 64


class ClusterMedia(pl.Callback):
    """Draw some clusters every n epochs on rank 0, by the images nearest to their centroids.

    The sheet is saved as a PNG in the run folder. W&B and TensorBoard get the sheet as
    ``clusters/contact_sheet``, and its rows one by one as ``clusters/gallery``. Without clusters
    nothing is drawn.
    """

    def __init__(self, folder: str, every_n_epochs: int = 10) -> None:
        """Set the folder and how often to draw.

        Args:
            folder: folder of the PNG files.
            every_n_epochs: interval in epochs; the last epoch is always drawn.

        Raises:
            ValueError: if ``every_n_epochs`` is less than 1.
        """
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}")
        self.folder = Path(folder)
        self.every_n_epochs = every_n_epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw if the epoch is due."""
        owner = PseudoLabels.find(trainer)
        due = is_due(trainer, self.every_n_epochs)
        if not due or owner is None or not trainer.is_global_zero:
            return
        with logged_failure(f"the contact sheet of epoch {trainer.current_epoch + 1}"):
            self._draw(trainer, owner)

    def _draw(self, trainer: pl.Trainer, owner: PseudoLabels) -> None:
        source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
        labels, distances = owner.labels.cpu().numpy(), owner.distances().cpu().numpy()
        rows = choose_rows(labels, distances, "size", ROWS, COLUMNS)
        strips = draw_strips(source, rows, SIDE)
        sheet = draw_sheet(rows, strips)
        self.folder.mkdir(parents=True, exist_ok=True)
        sheet.save(self.folder / f"epoch_{trainer.current_epoch + 1:04}.png")
        step = trainer.global_step - 1  # the step that Lightning logs at the end of an epoch
        captions = [row.caption for row in rows]
        for logger in trainer.loggers:
            _send(logger, SHEET, [sheet], [f"epoch {trainer.current_epoch + 1}"], step)
            _send(logger, GALLERY, strips, captions, step)


def _send(
    logger: Logger, key: str, images: Sequence[Image.Image], captions: Sequence[str], step: int
) -> None:
    """Log images to W&B or TensorBoard, which has no captions; ignore other loggers."""
    if isinstance(logger, WandbLogger):
        logger.log_image(key, list(images), step, caption=list(captions))
    elif isinstance(logger, TensorBoardLogger):
        stacked = np.stack([np.asarray(image) for image in images])
        logger.experiment.add_images(key, stacked, step, dataformats="NHWC")
