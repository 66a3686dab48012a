"""Supervised training: true labels in place of pseudo-labels."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.module import ODCModule


class TrueLabels(pl.Callback):
    """Set ``batch["target"]`` to the true labels of the data set.

    In place of a clustering callback it trains the same network with supervision, the upper bound
    for unsupervised training.
    """

    labels: Tensor

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Move the labels (N,) to the module's device.

        Raises:
            ValueError: if an image has no label, or the number of outputs of the head is not the
                number of classes.
        """
        if stage != "fit":
            return
        labels = trainer.datamodule.train_dataset.source.labels  # type: ignore[attr-defined]
        if labels is None or (labels < 0).any():
            num_labelled = 0 if labels is None else int((labels >= 0).sum())
            raise ValueError(
                f"supervised training needs a label for every image, and {num_labelled:,} of "
                f"{trainer.datamodule.num_samples:,} "  # type: ignore[attr-defined]
                "images have one; choose labelled data, or algorithm=odc"
            )
        classes = np.unique(labels)  # class numbers have gaps in a subset by class
        num_classes, outputs = len(classes), ODCModule.of(pl_module).num_clusters
        if outputs != num_classes:
            raise ValueError(
                f"the head has {outputs} outputs and the data have {num_classes} classes; set "
                f"algorithm.num_clusters={num_classes}"
            )
        self.labels = torch.from_numpy(np.searchsorted(classes, labels)).to(
            trainer.strategy.root_device
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the target of the batch to its true labels."""
        batch["target"] = self.labels[batch["index"]]
