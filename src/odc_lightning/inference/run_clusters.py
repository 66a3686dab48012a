"""The clusters of a run, as the trained network sees them, and whose a new image is."""

from typing import NamedTuple

import torch
from torch import Tensor

from odc_lightning.clustering import Assignment, cluster_means, scores


class Assigned(NamedTuple):
    """The clusters of B images.

    Attributes:
        labels: (B,) int64, the nearest cluster.
        distances: (B,) fp32, L2 distance of the feature, of unit length, to its centroid.
        second: (B,) int64, the cluster that comes next.
        margin: (B,) fp32, by how much the score of the nearest is larger than that of the next; 0
            is undecided.
    """

    labels: Tensor
    distances: Tensor
    second: Tensor
    margin: Tensor


class RunClusters(NamedTuple):
    """Centroids to which features in eval mode are compared.

    A run's memory holds features of augmented views in training mode, and new images are seen in
    eval mode. So these centroids are means over the members of each cluster in eval mode.

    Attributes:
        centroids: (C, D) fp32.
        counts: (C,) int64, images of the run in each; an empty cluster gets no image.
        metric: the run's own, see `odc_lightning.clustering.scores`.
    """

    centroids: Tensor
    counts: Tensor
    metric: Assignment

    @staticmethod
    def of_members(
        features: Tensor, labels: Tensor, num_clusters: int, metric: Assignment
    ) -> "RunClusters":
        """The means of each cluster's members.

        Args:
            features: (N, D) fp32 of unit length.
            labels: (N,) int64.
            num_clusters: C.
            metric: the run's own.
        """
        counts = torch.bincount(labels, minlength=num_clusters)
        return RunClusters(cluster_means(features, labels, num_clusters), counts, metric)

    def scores(self, features: Tensor) -> Tensor:
        """How near features (B, D) are to each cluster (B, C), by the metric alone.

        Offsets that kept the sizes of a training's clusters equal are left out: new images need
        not come in equal parts.
        """
        empty = torch.zeros_like(self.centroids[:, 0]).masked_fill(self.counts == 0, -torch.inf)
        return scores(features, self.centroids, self.metric, empty)

    def assign(self, features: Tensor) -> Assigned:
        """The clusters of features (B, D) fp32 of unit length."""
        best = self.scores(features).topk(2, dim=1)
        labels, second = best.indices.unbind(dim=1)
        distances = (features - self.centroids[labels]).norm(dim=1)
        return Assigned(labels, distances, second, best.values[:, 0] - best.values[:, 1])
