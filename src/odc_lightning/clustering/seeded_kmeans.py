"""Constrained K-Means: the centroids of names start at their images, which stay with them."""

from collections.abc import Callable

import torch
from torch import Tensor

from odc_lightning.clustering.assign import assign
from odc_lightning.clustering.blocks import rows_at
from odc_lightning.clustering.constraints import Constraints, choices_of, unit_labels
from odc_lightning.clustering.kmeans import check_features
from odc_lightning.clustering.means import cluster_means
from odc_lightning.utils.blocks import blocks


def seeded_kmeans(
    features: Tensor,
    num_clusters: int,
    constraints: Constraints,
    iterations: int,
    seed: int,
    on_iteration: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Cluster by Lloyd's algorithm under constraints (Basu et al. 2002, "Constrained-KMeans").

    The centroid of a name starts as the mean of its images, all others at random images without a
    name.

    Args:
        features: (N, D), on any device or on disk, of any precision.
        num_clusters: C.
        constraints: on the device on which to compute.
        iterations: Lloyd iterations.
        seed: of the first centroids.
        on_iteration: called after each iteration.

    Returns:
        Labels (N,) int64 and centroids (C, D) fp32. A cluster without a name can be empty.

    Raises:
        ValueError: as `kmeans`.
    """
    check_features(features, num_clusters)
    centroids = _start(features, num_clusters, constraints, seed)
    for _ in range(iterations):
        labels = constrained_labels(features, centroids, constraints)
        filled = torch.bincount(labels, minlength=num_clusters) > 0
        means = cluster_means(features, labels, num_clusters)
        centroids = torch.where(filled.unsqueeze(1), means, centroids)
        on_iteration()
    return constrained_labels(features, centroids, constraints), centroids


def constrained_labels(features: Tensor, centroids: Tensor, constraints: Constraints) -> Tensor:
    """The nearest centroid (N,) of each sample (N, D) that the constraints allow."""
    labels = assign(features, centroids)
    paired = constraints.paired
    if len(paired) > 0:
        labels[paired] = unit_labels(constraints, rows_at(features, paired), centroids)
    kinds = constraints.kinds
    alone = (kinds >= 0) & (constraints.units < 0)
    named = alone & (kinds < constraints.num_names)
    labels[named] = kinds[named].to(labels.dtype)
    limited = (alone & ~named).nonzero().flatten()  # they may be in all clusters but some
    for rows in blocks(len(limited), len(centroids)):
        part = limited[rows]
        choices = choices_of(constraints, part, labels[part])
        distances = torch.cdist(rows_at(features, part), centroids)
        labels[part] = distances.masked_fill(~choices, torch.inf).argmin(dim=1)
    return labels


def _start(features: Tensor, num_clusters: int, constraints: Constraints, seed: int) -> Tensor:
    """The first centroids (C, D)."""
    device, num_names = constraints.kinds.device, constraints.num_names
    # Drawn on the CPU, so that every device starts from the same samples.
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(features), generator=generator)
    kinds = constraints.kinds.cpu()[order]
    unnamed = order[(kinds < 0) | (kinds >= num_names)]
    centroids = torch.empty(num_clusters, features.shape[1], device=device)
    centroids[num_names:] = rows_at(features, unnamed[: num_clusters - num_names].to(device))
    for name in range(num_names):
        members = (constraints.kinds == name).nonzero().flatten()
        centroids[name] = rows_at(features, members).mean(dim=0)
    return centroids
