"""Backbone, neck and clusters as one network, ready for export."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from odc_lightning.inference import RunClusters
from odc_lightning.models import Backbone

# The score of an empty cluster; other scores are between about -1 and 1.
EMPTY_CLUSTER_SCORE = -1e3


class Outputs(NamedTuple):
    """The network's outputs for B images.

    Attributes:
        features: (B, F), the backbone's features.
        embedding: (B, D), the clustered features, of unit length.
        scores: (B, C); the largest score is the nearest cluster.
        cluster: (B,) int64, the nearest cluster.
    """

    features: Tensor
    embedding: Tensor
    scores: Tensor
    cluster: Tensor


class ClusterNetwork(nn.Module):
    """Backbone, neck and clusters as one network.

    Args:
        backbone, neck: a run's backbone and neck, in eval mode.
        clusters: the run's clusters, in eval mode.
    """

    def __init__(self, backbone: Backbone, neck: nn.Module, clusters: RunClusters) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        # All metrics are linear maps of the features, see `odc_lightning.clustering.scores`.
        num_clusters, width = clusters.centroids.shape
        bias = clusters.scores(torch.zeros(1, width))[0].nan_to_num(neginf=EMPTY_CLUSTER_SCORE)
        self.head = nn.Linear(width, num_clusters)
        weight = (clusters.scores(torch.eye(width)).nan_to_num(neginf=EMPTY_CLUSTER_SCORE) - bias).T
        self.head.load_state_dict({"weight": weight, "bias": bias})
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Outputs:
        """All outputs for transformed images (B, 3, S, S)."""
        features = self.backbone(images)
        embedding = normalize(self.neck(features), dim=1)
        scores = self.head(embedding)
        return Outputs(features, embedding, scores, scores.argmax(dim=1))


class BackboneNetwork(nn.Module):
    """The backbone alone, with its input named ``images``."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of transformed images (B, 3, S, S)."""
        features: Tensor = self.backbone(images)
        return features


@contextmanager
def on_cpu(network: nn.Module) -> Iterator[None]:
    """Move the network to the CPU, and back to its device afterwards."""
    device = next(network.parameters()).device
    network.cpu()
    try:
        yield
    finally:
        network.to(device)
