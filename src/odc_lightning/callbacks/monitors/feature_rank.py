"""Monitor of the effective rank of the clustered features."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.metrics import effective_rank

# More rows make the singular values slower and the rank hardly more precise.
MAX_ROWS = 2048


class FeatureRank(pl.Callback):
    """Log ``train/feature_rank`` each epoch: the effective rank of the last full batch's features.

    The features are those of the training step on rank 0, one row per view. A step only stores
    them; the singular values are computed at the end of the epoch, on the CPU.
    """

    _features: Tensor | None = None  # (B, D)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Drop the features of another epoch."""
        self._features = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Tensor],  # type: ignore[override]
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Store the features, unless the batch is smaller than the stored one."""
        features = outputs["features"].flatten(1)[:MAX_ROWS]
        if self._features is None or len(features) >= len(self._features):
            self._features = features

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the rank of the stored features."""
        features, self._features = self._features, None
        if features is not None and features.numel() > 0:
            pl_module.log("train/feature_rank", effective_rank(features.cpu()))
