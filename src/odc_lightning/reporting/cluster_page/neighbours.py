"""Neighbours of each image, and how far from everything else it lies.

The clusters themselves are the index: an image's neighbours are sought in its own cluster and in
those whose centroids are nearest. So nothing is N x N, and where all clusters are looked at, the
result is exact.
"""

import numpy as np
import torch
from torch import Tensor

from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.blocks import blocks

NEIGHBOURS = 10  # k
NEAR_CLUSTERS = 8  # clusters beside an image's own
# Where a few clusters hold a large set, neighbours are sought among this many of their images.
MAX_CANDIDATES = 50_000


def near_neighbours(
    features: Tensor, page_order: PageOrder, near: IntArray, k: int = NEIGHBOURS
) -> tuple[FloatArray, IntArray]:
    """The k nearest other images by L2 distance of their features.

    Args:
        features: (N, D) of any type.
        page_order: which images are in a cluster.
        near: (C, P) for each cluster the others that are looked at.
        k: how many.

    Returns:
        (N, k) distances, smallest first, and (N, k) indices; infinity and -1 where fewer were
        looked at.
    """
    num_samples = len(features)
    distances = np.full((num_samples, k), np.inf, dtype=np.float32)
    indices = np.full((num_samples, k), -1, dtype=np.int64)
    rng = np.random.default_rng(0)
    for cluster in range(page_order.num_clusters):
        members = page_order.members(cluster)
        if len(members) == 0:
            continue
        looked_at = [members, *(page_order.members(int(other)) for other in near[cluster])]
        candidates = np.concatenate(looked_at)
        if len(candidates) > MAX_CANDIDATES:
            candidates = rng.choice(candidates, MAX_CANDIDATES, replace=False)
        bank = features[torch.from_numpy(candidates)].float()
        for block in blocks(len(members), max(len(candidates), k * bank.shape[1])):
            queries = members[block]
            rows = features[torch.from_numpy(queries)].float()
            found, columns = _nearest(rows, bank, queries, candidates, k)
            distances[queries, : found.shape[1]] = found.numpy()
            indices[queries, : found.shape[1]] = candidates[columns.numpy()]
    indices[np.isinf(distances)] = -1
    return distances, indices


def outlier_scores(distances: FloatArray) -> FloatArray:
    """How far each image is from its neighbours, as a multiple of what is usual.

    Args:
        distances: (N, k) to its nearest neighbours; infinity where there are fewer.

    Returns:
        (N,) the mean of an image's distances over the median of that of all images: 1 is usual.
        An image without any neighbour has 0.
    """
    known = np.isfinite(distances)
    sums = np.where(known, distances, 0).sum(axis=1, dtype=np.float64)
    mean = sums / np.maximum(known.sum(axis=1), 1)
    usual = float(np.median(mean))
    scale = usual if usual > 0 else float(mean.max()) or 1.0
    return (mean / scale).astype(np.float32)


def _nearest(
    queries: Tensor, bank: Tensor, own: IntArray, candidates: IntArray, k: int
) -> tuple[Tensor, Tensor]:
    """Distances (B, k) and columns (B, k) of the bank; an image is no neighbour of its own."""
    squares = torch.addmm(bank.square().sum(dim=1), queries, bank.T, alpha=-2)
    squares += queries.square().sum(dim=1, keepdim=True)
    itself = torch.from_numpy(candidates) == torch.from_numpy(own).unsqueeze(1)
    squares.masked_fill_(itself, float("inf"))
    nearest, columns = squares.topk(min(k, len(candidates)), dim=1, largest=False)
    # Twins have a distance that the difference of squares does not resolve.
    exact = (bank[columns] - queries.unsqueeze(1)).norm(dim=2)
    exact.masked_fill_(nearest.isinf(), float("inf"))
    order = exact.argsort(dim=1)
    return exact.gather(1, order), columns.gather(1, order)
