"""Heads: from features to scores, and the loss of each sample."""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn


class Head(nn.Module, ABC):
    """What stands last in a network and knows how wrong it is."""

    @abstractmethod
    def losses(self, features: Tensor, target: Tensor) -> Tensor:
        """The loss (rows,) of each row of features.

        Args:
            features: of the neck, one row or map a view.
            target: what a callback wrote into ``batch["target"]``, one entry a row.
        """


class LinearHead(nn.Linear, Head):
    """Linear classifier from features (B, in_features) to cluster scores (B, num_clusters).

    ``reset_parameters()`` draws it anew: weights from N(0, 0.01), biases zero, as in the authors'
    code.

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


class ColorizationHead(nn.Conv2d, Head):
    """A linear classifier at each place of a map (B, in_features, h, w), a 1 x 1 convolution.

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
        """Cross-entropy (B,) with weighted distributions (B, Q, h, w), mean over the places.

        Zhang, Isola and Efros, ECCV 2016, Eq. 2.
        """
        each: Tensor = -(target * F.log_softmax(self(features), dim=1)).sum(dim=1)
        return each.mean(dim=(1, 2))
