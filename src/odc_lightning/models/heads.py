"""The head: the linear classifier over clusters."""

from torch import nn


class LinearHead(nn.Linear):
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
