"""Distances of images to centroids, and of centroids to each other."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from odc_lightning.runs.clustered_images import ClusteredImages
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.blocks import block_rows, blocks


@dataclass
class Measures:
    """Measures of N images.

    Attributes:
        distance: (N,) L2 distance of an image's feature to the centroid of its cluster.
        second: (N,) the non-empty other cluster with the nearest centroid; -1 without another one.
        margin: (N,) distance to that centroid minus ``distance``. It is below 0 if the image is
            nearer to that centroid than to its own, and NaN without another cluster.
    """

    distance: FloatArray
    second: IntArray
    margin: FloatArray


@dataclass
class ClusterFacts:
    """Facts of C clusters.

    Attributes:
        sizes: (C,).
        tightness: (C,) mean distance of its images to its centroid; NaN for an empty one.
        purity: (C,) share of the labelled images that have the cluster's most frequent class; None
            without labels, NaN for a cluster without labelled images.
        majority: (C,) that class, -1 without labelled images; None without labels.
        labelled: (C,) number of labelled images; None without labels.
    """

    sizes: IntArray
    tightness: NDArray[np.float64]
    purity: NDArray[np.float64] | None = None
    majority: IntArray | None = None
    labelled: IntArray | None = None

    @property
    def overall_purity(self) -> float | None:
        """Share of all labelled images that have the most frequent class of their cluster."""
        if self.purity is None or self.labelled is None:
            return None
        known = self.labelled > 0
        return float(np.average(self.purity[known], weights=self.labelled[known]))


def measure(clustered: ClusteredImages) -> Measures:
    """Distances, second choices and margins, in blocks of images.

    Raises:
        ValueError: a feature or a centroid is NaN or infinite.
    """
    centroids, labels = clustered.centroids, torch.from_numpy(clustered.labels)
    filled = torch.bincount(labels, minlength=len(centroids)) > 0
    if not bool(centroids[filled].isfinite().all()):
        raise ValueError("the run has NaN or infinite centroids: its training has diverged")
    lone = int(filled.sum()) < 2
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    step = block_rows(max(centroids.shape))
    for features, own in zip(clustered.features.split(step), labels.split(step), strict=True):
        rows = features.float()
        if not bool(rows.isfinite().all()):
            raise ValueError("the run has NaN or infinite features: its training has diverged")
        second = nearest_others(rows, centroids, own, filled)
        # From differences: by the dot product a small distance would be mostly rounding error.
        distance = (rows - centroids[own]).norm(dim=1)
        margin = (rows - centroids[second]).norm(dim=1) - distance
        parts.append((distance, second, margin))
    distance, second, margin = (torch.cat(part) for part in zip(*parts, strict=True))
    if lone:
        second, margin = torch.full_like(second, -1), torch.full_like(margin, float("nan"))
    return Measures(distance.numpy(), second.numpy(), margin.numpy())


def nearest_others(rows: Tensor, centroids: Tensor, own: Tensor, filled: Tensor) -> Tensor:
    """The nearest centroid (B,) of another cluster.

    Args:
        rows: (B, D).
        centroids: (C, D).
        own: (B,) int64, the cluster of each row.
        filled: (C,) bool, which clusters count.
    """
    # |F - C|^2 less |F|^2, which is the same for every centroid.
    squares = torch.addmm(centroids.square().sum(dim=1), rows, centroids.T, alpha=-2)
    squares[:, ~filled] = float("inf")
    squares.scatter_(1, own.unsqueeze(1), float("inf"))
    return squares.argmin(dim=1)


def nearest_clusters(
    centroids: Tensor, sizes: IntArray, number: int
) -> tuple[IntArray, FloatArray]:
    """The nearest other clusters of each cluster; empty ones do not count.

    Args:
        centroids: (C, D).
        sizes: (C,).
        number: P, or fewer if there are fewer clusters.

    Returns:
        (C, P) cluster numbers, nearest first, and (C, P) L2 distances of the centroids.
    """
    filled = np.flatnonzero(sizes > 0)
    number = min(number, len(filled) - 1)
    found = np.zeros((len(centroids), max(number, 0)), dtype=np.int64)
    distances = np.zeros(found.shape, dtype=np.float32)
    if number < 1:
        return found, distances
    known = centroids[torch.from_numpy(filled)]
    squared_norms = known.square().sum(dim=1)
    for block in blocks(len(centroids), max(known.shape)):
        rows = centroids[block]
        squares = torch.addmm(squared_norms, rows, known.T, alpha=-2)
        numbers = torch.arange(len(centroids))[block].unsqueeze(1)
        squares.masked_fill_(torch.from_numpy(filled) == numbers, float("inf"))
        columns = squares.topk(number, largest=False).indices
        exact = (known[columns] - rows.unsqueeze(1)).norm(dim=2)
        nearest, order = exact.sort(dim=1)
        found[block] = filled[columns.gather(1, order).numpy()]
        distances[block] = nearest.numpy()
    return found, distances


def cluster_facts(
    labels: IntArray, distance: FloatArray, num_clusters: int, classes: IntArray | None
) -> ClusterFacts:
    """Size, tightness and purity of each cluster.

    Args:
        labels: (N,) clusters.
        distance: (N,).
        num_clusters: C.
        classes: (N,) true classes, -1 where unknown; None if there are none.
    """
    sizes = np.bincount(labels, minlength=num_clusters)
    sums = np.bincount(labels, weights=distance, minlength=num_clusters)
    with np.errstate(invalid="ignore"):
        facts = ClusterFacts(sizes, sums / sizes)
        if classes is None or not (classes >= 0).any():
            return facts
        known = classes >= 0
        pairs, counts = np.unique(
            np.stack([labels[known], classes[known]]), axis=1, return_counts=True
        )
        order = np.lexsort((-pairs[1], counts))  # the first of equally frequent classes
        facts.majority = np.full(num_clusters, -1, dtype=np.int64)
        facts.majority[pairs[0][order]] = pairs[1][order]
        most = np.zeros(num_clusters)
        most[pairs[0][order]] = counts[order]
        facts.labelled = np.bincount(labels[known], minlength=num_clusters)
        facts.purity = most / facts.labelled
    return facts
