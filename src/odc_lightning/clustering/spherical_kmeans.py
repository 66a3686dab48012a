"""Spherical K-Means, which clusters by direction, as in DeepCluster-v2."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering.assign import assign
from odc_lightning.clustering.kmeans import check_features


class SphericalKMeansResult(NamedTuple):
    """Labels (N,) int64 and centroids (C, D) fp32 of unit length."""

    labels: Tensor
    centroids: Tensor


def spherical_kmeans(
    features: Tensor,
    num_clusters: int,
    *,
    iterations: int = 10,
    rng: np.random.Generator,
) -> SphericalKMeansResult:
    """Cluster samples of unit length by the cosine, starting from random samples.

    An iteration labels each sample with the centroid of largest dot product, and replaces each
    centroid by the normalised mean of its members. An empty cluster keeps its centroid.

    Args:
        features: (N, D) fp32, rows of unit length.
        num_clusters: C, at most N.
        iterations: 10 in SwAV's repository.
        rng: draws the first centroids.

    Returns:
        Labels and centroids on the features' device. No N x C matrix is kept.

    Raises:
        ValueError: if N < C or a feature is not finite.
    """
    check_features(features, num_clusters)
    first = torch.from_numpy(rng.choice(len(features), num_clusters, replace=False))
    centroids = features[first.to(features.device)]
    for _ in range(iterations):
        labels = assign(features, centroids, "dot")
        sums = torch.zeros_like(centroids).index_add_(0, labels, features)
        filled = torch.bincount(labels, minlength=num_clusters) > 0
        centroids = torch.where(filled.unsqueeze(1), normalize(sums, dim=1), centroids)
    return SphericalKMeansResult(assign(features, centroids, "dot"), centroids)
