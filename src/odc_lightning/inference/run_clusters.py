"""The clusters of a run in eval mode, and the assignment of new images to them."""

from typing import NamedTuple

import torch
from torch import Tensor

from odc_lightning.clustering import Assignment, cluster_means, scores


class Assigned(NamedTuple):
    """The clusters of B images.

    Attributes:
        labels: (B,) int64, the nearest cluster.
        distances: (B,) fp32, L2 distance from the feature of unit length to its centroid.
        second: (B,) int64, the second nearest cluster.
        margin: (B,) fp32, score of the nearest cluster minus that of the second; 0 is a tie.
    """

    labels: Tensor
    distances: Tensor
    second: Tensor
    margin: Tensor


class RunClusters(NamedTuple):
    """Centroids with which features in eval mode are compared.

    A run's memory holds features of augmented views in training mode, but new images are embedded
    in eval mode. These centroids are therefore the means of each cluster's members in eval mode.

    Attributes:
        centroids: (C, D) fp32.
        counts: (C,) int64, images of the run in each cluster; empty clusters receive no images.
        metric: the run's own, see `odc_lightning.clustering.scores`.
    """

    centroids: Tensor
    counts: Tensor
    metric: Assignment

    @staticmethod
    def of_members(
        features: Tensor, labels: Tensor, num_clusters: int, metric: Assignment
    ) -> "RunClusters":
        """Take the mean of each cluster's members as its centroid.

        Args:
            features: (N, D) fp32 of unit length.
            labels: (N,) int64.
            num_clusters: C.
            metric: the run's own metric.
        """
        counts = torch.bincount(labels, minlength=num_clusters)
        return RunClusters(cluster_means(features, labels, num_clusters), counts, metric)

    def scores(self, features: Tensor) -> Tensor:
        """The scores (B, C) of features (B, D) for each cluster, by the metric alone.

        The offsets that balance clusters in training are left out, since new images need not be
        spread equally.
        """
        empty = torch.zeros_like(self.centroids[:, 0]).masked_fill(self.counts == 0, -torch.inf)
        return scores(features, self.centroids, self.metric, empty)

    def assign(self, features: Tensor) -> Assigned:
        """Assign features (B, D) fp32 of unit length to clusters."""
        best = self.scores(features).topk(2, dim=1)
        labels, second = best.indices.unbind(dim=1)
        distances = (features - self.centroids[labels]).norm(dim=1)
        return Assigned(labels, distances, second, best.values[:, 0] - best.values[:, 1])
