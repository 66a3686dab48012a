"""Supervised training: the data set's own labels in place of pseudo-labels."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.module import ODCModule


class TrueLabels(pl.Callback):
    """Give each batch its true labels as ``batch["target"]``.

    With it in place of the clustering the same network is trained with supervision, which is the
    upper bound for what is learned without.
    """

    labels: Tensor

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the labels (N,) to where the module will be.

        Raises:
            ValueError: if an image has no label, or the head has another number of outputs than
                there are classes.
        """
        if stage != "fit":
            return
        labels = trainer.datamodule.train_dataset.source.labels  # type: ignore[attr-defined]
        if labels is None or (labels < 0).any():
            without = "no image" if labels is None else f"{int((labels >= 0).sum()):,} images"
            raise ValueError(
                f"supervised training needs a label for every image, and {without} of "
                f"{trainer.datamodule.num_samples:,} "  # type: ignore[attr-defined]
                "have one; choose labelled data, or algorithm=odc"
            )
        classes = np.unique(labels)  # a subset by class leaves gaps
        num_classes, outputs = len(classes), ODCModule.of(pl_module).num_clusters
        if outputs != num_classes:
            raise ValueError(
                f"the head has {outputs} outputs and the data {num_classes} classes; set "
                f"algorithm.num_clusters={num_classes}"
            )
        self.labels = torch.from_numpy(np.searchsorted(classes, labels)).to(
            trainer.strategy.root_device
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look them up."""
        batch["target"] = self.labels[batch["index"]]
