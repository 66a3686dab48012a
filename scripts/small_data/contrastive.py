"""The rivals that compare views without clustering the set: SimCLR and SwAV, by lightly's losses.

Both take the place of a head on top of ``neck=projection``, with two views of each image;
`ImageIndices` tells them which rows are views of one image.
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
    """The target of each row of features is the index of its image."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse data that do not come in two views.

        Raises:
            ValueError: another number of views.
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
    """No parameters: of all other rows of the batch, which is the image's other view?

    Args:
        in_features: width of the features; any will do.
        num_clusters: 2 B - 1, the rows to choose from. Only what is said of chance depends on it.
        temperature: what the cosines are divided by.
    """

    def __init__(self, in_features: int, num_clusters: int, temperature: float = 0.2) -> None:
        super().__init__()
        self.num_clusters = num_clusters
        self.loss = NTXentLoss(_positive("temperature", temperature))

    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """The loss of the batch (rows,), the same for each row, since lightly gives its mean."""
        return self.loss(*two_views(features, target)).expand(len(features))


class SwAVHead(Head):
    """Learned prototypes: each view predicts the soft assignment that the other one has.

    As published, without lightly's biases and, as its loss has it by default, without a queue.

    Args:
        in_features: width D of the features.
        num_clusters: number of prototypes C.
        temperature: what the cosines are divided by.
        epsilon: of Sinkhorn and Knopp's algorithm; the less, the harder the assignments.
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
        self.prototypes.normalize()  # the last step has left them at any length
        views = [self(view) for view in two_views(features, target)]
        return self.loss(views, []).expand(len(features))


def two_views(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second views (B, D) of rows (2 B, D) with the indices of their images.

    Raises:
        ValueError: the rows are not in pairs of one image.
    """
    if len(target) % VIEWS or bool((target[0::VIEWS] != target[1::VIEWS]).any()):
        raise ValueError(
            f"{len(target)} rows that are not in pairs of one image's views; set "
            f"data.num_views={VIEWS} and the callback ImageIndices"
        )
    return features[0::VIEWS], features[1::VIEWS]


def _positive(name: str, value: float) -> float:
    if value <= 0:
        raise ValueError(f"model.head.{name}={value}; expected more than 0")
    return value
