"""Heads: from features to scores, and the loss of each sample."""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from odc_lightning.models.contrast import contrast_losses


class Head(nn.Module, ABC):
    """The last module of a network, which computes the loss.

    Attributes:
        num_clusters: the number of clusters or classes C.
    """

    num_clusters: int

    def chance(self, rows: int) -> float:
        """The loss at chance level, for equally frequent clusters: ln C.

        Args:
            rows: rows of features in one rank's batch.
        """
        return math.log(self.num_clusters)

    @abstractmethod
    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """The loss (rows,) of each row of features.

        Args:
            features: output of the neck, one row or map per view.
            target: ``batch["target"]``, written by a callback, one entry per row.
        """


class LinearHead(nn.Linear, Head):
    """Linear classifier from features (B, in_features) to cluster scores (B, num_clusters).

    ``reset_parameters()`` reinitialises it: weights from N(0, 0.01), biases zero, as in the
    authors' code.

    Args:
        in_features: width D of the clustered features.
        num_clusters: number of clusters C.
    """

    def __init__(self, in_features: int, num_clusters: int) -> None:
        super().__init__(in_features, num_clusters)  # calls reset_parameters
        self.num_clusters = num_clusters

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)

    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """Eq. 1, cross-entropy (rows,) of features (rows, D) with labels (rows,) int64."""
        return F.cross_entropy(self(features), target, reduction="none")


class PrototypeHead(Head):
    """Several classifiers whose weights are set, not learned: the prototypes of DeepCluster-v2.

    The scores of a head are the cosines of features and prototypes, divided by the temperature. A
    callback writes ``prototypes``, a buffer (H, C, D) of unit rows. Until then they are zero, and
    the loss is ln C.

    Args:
        in_features: width D of the clustered features.
        num_clusters: number of prototypes C of each head.
        num_heads: H.
        temperature: divisor of the cosines.
        contrast: share of the contrastive loss (`contrast_losses` of the views, at the same
            temperature) in the total loss, from 0 to less than 1.
        num_views: V, views per image; ``contrast`` needs 2 or more.

    Raises:
        ValueError: if a number is out of range, or ``contrast`` is given with a single view.
    """

    prototypes: Tensor

    def __init__(
        self,
        in_features: int,
        num_clusters: int,
        num_heads: int = 3,
        temperature: float = 0.1,
        contrast: float = 0.0,
        num_views: int = 1,
    ) -> None:
        super().__init__()
        if num_heads < 1:
            raise ValueError(f"model.head.num_heads={num_heads}; expected 1 or more")
        if temperature <= 0:
            raise ValueError(f"model.head.temperature={temperature}; expected more than 0")
        if not 0 <= contrast < 1:
            raise ValueError(
                f"model.head.contrast={contrast}; expected a share from 0 to less than 1"
            )
        if contrast > 0 and num_views < 2:
            raise ValueError(
                f"model.head.contrast={contrast} compares views of an image, but "
                f"data.num_views={num_views}; set data.num_views=2, or model.head.contrast=0"
            )
        self.num_clusters = num_clusters
        self.num_heads = num_heads
        self.temperature = temperature
        self.contrast = contrast
        self.num_views = num_views
        self.register_buffer("prototypes", torch.zeros(num_heads, num_clusters, in_features))

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (rows, D) into scores (rows, H, C)."""
        scores = F.linear(F.normalize(features, dim=1), self.prototypes.flatten(0, 1))
        return scores.view(-1, self.num_heads, self.num_clusters) / self.temperature

    def chance(self, rows: int) -> float:
        """The loss at chance level: ln C, mixed with ln(rows - 1) by the share ``contrast``."""
        apart = self.contrast * math.log(rows - 1) if self.contrast else 0.0
        return (1 - self.contrast) * math.log(self.num_clusters) + apart

    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (rows,), averaged over the heads, mixed with the contrastive loss.

        Args:
            features: (rows, D); the views of an image follow one another.
            target: labels (rows, H) int64, or (rows,) with a single head; or distributions over
                the prototypes (rows, H, C), or (rows, C) with a single head.
        """
        soft = target.is_floating_point()
        target = target.view(-1, self.num_clusters) if soft else target.flatten()
        losses = F.cross_entropy(self(features).flatten(0, 1), target, reduction="none")
        losses = losses.view(-1, self.num_heads).mean(dim=1)
        if not self.contrast:
            return losses
        apart = contrast_losses(features, self.num_views, self.temperature)
        return (1 - self.contrast) * losses + self.contrast * apart


class ColorizationHead(nn.Conv2d, Head):
    """A linear classifier at each position of a map (B, in_features, h, w): a 1 x 1 convolution.

    Args:
        in_features: channels of the map.
        num_clusters: number of colours Q.
    """

    def __init__(self, in_features: int, num_clusters: int) -> None:
        super().__init__(in_features, num_clusters, kernel_size=1)
        self.num_clusters = num_clusters

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (B,) with weighted distributions (B, Q, h, w), averaged over the positions.

        Zhang, Isola and Efros, ECCV 2016, Eq. 2.
        """
        each: Tensor = -(target * F.log_softmax(self(features), dim=1)).sum(dim=1)
        return each.mean(dim=(1, 2))
