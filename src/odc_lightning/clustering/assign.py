"""The nearest centroid of each sample (Sec. 3.1, Eq. 3)."""

from typing import Literal

import torch
from torch import Tensor

Assignment = Literal["l2", "dot"]

# Similarities held at once when many samples are assigned: 2**24 fp32 values are 64 MiB.
BLOCK_ELEMENTS = 2**24


def assign(features: Tensor, centroids: Tensor, metric: Assignment = "l2") -> Tensor:
    """Label each sample with its nearest centroid, in blocks if there are many samples.

    Args:
        features: (B, D).
        centroids: (C, D).
        metric: ``"l2"`` is Eq. 3. ``"dot"`` is the authors' code, the largest dot product with
            the centroid as it is; it drops the term ``|C_y|^2`` and so favours tight clusters,
            whose means are long.

    Returns:
        (B,) int64 labels in ``0 .. C - 1``.
    """
    if metric not in ("l2", "dot"):
        raise ValueError(f"assignment must be 'l2' or 'dot', got {metric!r}")
    offsets = torch.zeros(len(centroids), dtype=centroids.dtype, device=centroids.device)
    if metric == "l2":
        # |F - C|^2 = |F|^2 - 2 (F.C - |C|^2 / 2), and |F|^2 is the same for every centroid.
        # linalg's norm takes a third of the time of square().sum(), which makes a copy.
        offsets = torch.linalg.vector_norm(centroids, dim=1).square_().mul_(-0.5)
    blocks = features.split(max(1, BLOCK_ELEMENTS // len(centroids)))
    return torch.cat([torch.addmm(offsets, rows, centroids.T).argmax(dim=1) for rows in blocks])


def nearest(features: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """As `assign` by L2, with the distances.

    Args:
        features: (N, D).
        centroids: (C, D).

    Returns:
        (N,) int64 labels and (N,) squared L2 distances.
    """
    labels = assign(features, centroids)
    return labels, squared_distances(features, centroids, labels)


def cluster_means(features: Tensor, labels: Tensor, num_clusters: int) -> Tensor:
    """Mean (C, D) of the features (N, D) of each cluster; zeros for an empty one."""
    sums = features.new_zeros(num_clusters, features.shape[1]).index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=num_clusters)
    return sums / counts.clamp(min=1).unsqueeze(1)


def squared_distances(features: Tensor, centroids: Tensor, labels: Tensor) -> Tensor:
    """Squared L2 distance (N,) of each sample (N, D) to the centroid that its label names."""
    block = max(1, BLOCK_ELEMENTS // features.shape[1])
    return torch.cat(
        [
            (rows - centroids[names]).square_().sum(dim=1)
            for rows, names in zip(features.split(block), labels.split(block), strict=True)
        ]
    )
