"""How many directions the clustered features use."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.metrics import effective_rank

# Beyond a few thousand the singular values cost more than the rank gains.
MAX_ROWS = 2048


class FeatureRank(pl.Callback):
    """Log ``train/feature_rank`` each epoch, of the features of its last full batch.

    They are those of the training step, of rank 0, a row a view. A step only keeps them: the
    singular values are taken at the epoch's end, on the CPU.
    """

    _features: Tensor | None = None  # (B, D)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Let go of another epoch's."""
        self._features = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Tensor],  # type: ignore[override]
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keep the batch, unless it is a smaller one than before."""
        features = outputs["features"].flatten(1)[:MAX_ROWS]
        if self._features is None or len(features) >= len(self._features):
            self._features = features

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log their rank."""
        features, self._features = self._features, None
        if features is not None and features.numel() > 0:
            pl_module.log("train/feature_rank", effective_rank(features.cpu()))
