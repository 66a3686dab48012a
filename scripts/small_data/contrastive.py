"""Baselines that compare views and do not cluster: SimCLR and SwAV, with the losses of lightly.

Both are heads on top of ``neck=projection``, with two views of each image. `ImageIndices` marks the
rows that are views of the same image.
"""

from typing import Any

import pytorch_lightning as pl
from lightly.loss import NTXentLoss, SwaVLoss
from lightly.models.modules import SwaVPrototypes
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.models import Head

VIEWS = 2


class ImageIndices(pl.Callback):
    """Sets the target of each row of features to the index of its image."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse data without two views of each image.

        Raises:
            ValueError: the number of views is not two.
        """
        num_views = getattr(trainer.datamodule, "num_views", 1)  # type: ignore[attr-defined]
        if stage == "fit" and num_views != VIEWS:
            raise ValueError(
                f"data.num_views={num_views}: SimCLR and SwAV compare two views of an image; set "
                f"data.num_views={VIEWS}"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Give both views of an image its index, (2 B,)."""
        batch["target"] = batch["index"].repeat_interleave(VIEWS)


class SimCLRHead(Head):
    """A head without parameters: finds the image's other view among all other rows of the batch.

    Args:
        in_features: width of the features; it may have any value.
        num_clusters: 2 B - 1, the rows to choose from; only the reported chance depends on it.
        temperature: divisor of the cosines.
    """

    def __init__(self, in_features: int, num_clusters: int, temperature: float = 0.2) -> None:
        super().__init__()
        self.num_clusters = num_clusters
        self.loss = NTXentLoss(_positive("temperature", temperature))

    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """The loss of the batch (rows,), the same for each row, since lightly gives its mean."""
        return self.loss(*two_views(features, target)).expand(len(features))


class SwAVHead(Head):
    """A head with learned prototypes: each view predicts the soft assignment of the other.

    As published, without the biases of lightly's prototypes. Without a queue, which is the default
    of lightly's loss.

    Args:
        in_features: width D of the features.
        num_clusters: number of prototypes C.
        temperature: divisor of the cosines.
        epsilon: of the Sinkhorn-Knopp algorithm; smaller values give harder assignments.
        iterations: of that algorithm.
    """

    def __init__(
        self,
        in_features: int,
        num_clusters: int = 300,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        self.num_clusters = num_clusters
        self.prototypes = SwaVPrototypes(in_features, num_clusters)
        for layer in self.prototypes.heads:
            layer.register_parameter("bias", None)
        self.loss = SwaVLoss(
            temperature=_positive("temperature", temperature),
            sinkhorn_iterations=iterations,
            sinkhorn_epsilon=_positive("epsilon", epsilon),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Cosines (rows, C) of features (rows, D) and prototypes."""
        scores: Tensor = self.prototypes(normalize(features, dim=1))
        return scores

    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """The loss of the batch (rows,), the same for each row, since lightly gives its mean."""
        self.prototypes.normalize()  # the optimiser's step changes their length
        views = [self(view) for view in two_views(features, target)]
        return self.loss(views, []).expand(len(features))


def two_views(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Split rows (2 B, D) into first and second views (B, D), by the indices of their images.

    Raises:
        ValueError: the rows are not pairs of views of the same image.
    """
    if len(target) % VIEWS or bool((target[0::VIEWS] != target[1::VIEWS]).any()):
        raise ValueError(
            f"{len(target)} rows are not pairs of views of the same image; set "
            f"data.num_views={VIEWS} and add the callback ImageIndices"
        )
    return features[0::VIEWS], features[1::VIEWS]


def _positive(name: str, value: float) -> float:
    if value <= 0:
        raise ValueError(f"model.head.{name}={value}; expected more than 0")
    return value
