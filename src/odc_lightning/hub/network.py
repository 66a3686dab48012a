"""Networks for export: from images to clusters, or to features."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from odc_lightning.inference import RunClusters
from odc_lightning.models import Backbone

# Scores of other clusters are between -1 and 1, or close to that.
EMPTY_CLUSTER_SCORE = -1e3


class Outputs(NamedTuple):
    """Output of the network for B images.

    Attributes:
        features: (B, F) of the backbone.
        embedding: (B, D) of unit length; the features that are clustered.
        scores: (B, C); the largest is that of the nearest cluster.
        cluster: (B,) int64.
    """

    features: Tensor
    embedding: Tensor
    scores: Tensor
    cluster: Tensor


class ClusterNetwork(nn.Module):
    """Backbone, neck and clusters.

    Args:
        backbone, neck: of a run, in eval mode.
        clusters: in eval mode.
    """

    def __init__(self, backbone: Backbone, neck: nn.Module, clusters: RunClusters) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        # The metrics are linear maps of the features: see `odc_lightning.clustering.scores`.
        num_clusters, width = clusters.centroids.shape
        bias = clusters.scores(torch.zeros(1, width))[0].nan_to_num(neginf=EMPTY_CLUSTER_SCORE)
        self.head = nn.Linear(width, num_clusters)
        weight = (clusters.scores(torch.eye(width)).nan_to_num(neginf=EMPTY_CLUSTER_SCORE) - bias).T
        self.head.load_state_dict({"weight": weight, "bias": bias})
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Outputs:
        """Transformed images (B, 3, S, S) to all outputs."""
        features = self.backbone(images)
        embedding = normalize(self.neck(features), dim=1)
        scores = self.head(embedding)
        return Outputs(features, embedding, scores, scores.argmax(dim=1))


class BackboneNetwork(nn.Module):
    """The backbone alone, with a named input."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Transformed images (B, 3, S, S) to features (B, F)."""
        features: Tensor = self.backbone(images)
        return features


@contextmanager
def on_cpu(network: nn.Module) -> Iterator[None]:
    """Move the network to the CPU for the body, and back afterwards."""
    device = next(network.parameters()).device
    network.cpu()
    try:
        yield
    finally:
        network.to(device)
