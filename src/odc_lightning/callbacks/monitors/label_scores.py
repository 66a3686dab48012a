"""Scores against the true labels of a data set, which are never used for training."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.monitors.epoch_measurement import EpochMeasurement
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.features.extraction import Split, extract_features
from odc_lightning.metrics import knn_accuracy, normalized_mutual_information
from odc_lightning.module import ODCModule


class LabelScores(EpochMeasurement):
    """Log ``eval/nmi`` and ``eval/knn_top1`` before training and every n epochs.

    The NMI compares the pseudo-labels, if there are any, with the true labels. The kNN classifies
    the validation split by the training split, on pooled features of the backbone. Without a
    labelled validation split it classifies each training sample by all others.

    Attributes:
        untrained: scores before training.
        last: latest scores.
    """

    def __init__(self, every_n_epochs: int = 1, knn: bool = True, k: int = 20) -> None:
        """Set how often to score, and which scores.

        Args:
            every_n_epochs: interval in epochs; the untrained network and the last epoch are always
                scored.
            knn: whether to compute the kNN score, which needs a pass over the images and holds all
                pooled features at once.
            k: number of neighbours, or all samples if there are fewer.

        Raises:
            ValueError: if ``every_n_epochs`` is less than 1.
        """
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}")
        self.every_n_epochs = every_n_epochs
        self.knn = knn
        self.k = k
        self.untrained: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score the untrained network, unless the run is resumed."""
        if trainer.global_step == 0:
            with self.first():
                self.untrained = self.last = self.score(trainer, pl_module)
            for logger in trainer.loggers:
                logger.log_metrics(self.untrained, step=0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score if the epoch is due."""
        if is_due(trainer, self.every_n_epochs):
            self.last = self.score(trainer, pl_module)
            pl_module.log_dict(self.last)

    def state_dict(self) -> dict[str, Any]:
        """Return the first and the latest scores."""
        return {"untrained": dict(self.untrained), "last": dict(self.last)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores."""
        self.untrained, self.last = state_dict["untrained"], state_dict["last"]

    def score(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """Compute the scores of the present network and pseudo-labels; empty without labels."""
        truth = labels_of(trainer, "train")
        if truth is None:
            return {}
        known = truth >= 0
        scores = {}
        owner = PseudoLabels.find(trainer)
        if owner is not None:
            scores["eval/nmi"] = nmi_of(owner.labels, truth)
        # With fewer than two labelled images there is no neighbour to vote.
        if self.knn and int(known.sum()) >= 2:
            scores["eval/knn_top1"] = self._knn(trainer, pl_module, truth)
        return scores

    def _knn(self, trainer: pl.Trainer, pl_module: pl.LightningModule, truth: Tensor) -> float:
        bank, bank_labels = _labelled(
            pooled_features(trainer, pl_module, "train", "Scores: features"), truth
        )
        val_labels = labels_of(trainer, "val")
        if val_labels is None:
            k = min(self.k, len(bank) - 1)
            return knn_accuracy(bank, bank_labels, bank, bank_labels, k=k, exclude_self=True)
        queries, query_labels = _labelled(
            pooled_features(trainer, pl_module, "val", "Scores: features"), val_labels
        )
        k = min(self.k, len(bank))
        return knn_accuracy(bank, bank_labels, queries, query_labels, k=k)


def is_due(trainer: pl.Trainer, every_n_epochs: int) -> bool:
    """Return whether the epoch that ends is the last one, or its number is a multiple of n."""
    epoch = trainer.current_epoch + 1
    return epoch % every_n_epochs == 0 or epoch == trainer.max_epochs


def labels_of(trainer: pl.Trainer, split: Split) -> Tensor | None:
    """Return the true labels of a split on the CPU, -1 if unknown; None if all are unknown."""
    dataset = getattr(trainer.datamodule, f"{split}_dataset")  # type: ignore[attr-defined]
    labels: np.ndarray | None = None if dataset is None else dataset.source.labels
    return None if labels is None or not (labels >= 0).any() else torch.from_numpy(labels)


def nmi_of(clusters: Tensor, truth: Tensor) -> float:
    """The NMI of clusters (N,) and true labels (N,), over the images whose label is known."""
    known = truth >= 0
    return normalized_mutual_information(truth[known], clusters.cpu()[known])


def pooled_features(
    trainer: pl.Trainer, pl_module: pl.LightningModule, split: Split, description: str
) -> Tensor:
    """Extract pooled features (N, num_features) fp32 of a split, on the module's device."""
    dataset = getattr(trainer.datamodule, f"{split}_dataset")  # type: ignore[attr-defined]
    width = ODCModule.of(pl_module).backbone.num_features
    out = torch.empty(len(dataset), width, dtype=torch.float32, device=pl_module.device)
    return extract_features(trainer, pl_module, pl_module, split, out, description)


def _labelled(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that have a label; without a copy if all have one."""
    known = labels >= 0
    return (features, labels) if bool(known.all()) else (features[known], labels[known])
