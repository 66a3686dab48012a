"""Neighbours of each image, and how far it lies from them.

The clusters are the index: the neighbours of an image are sought in its own cluster and in those
with the nearest centroids. Nothing is N x N, and if all clusters are searched, the result is exact.

`odc_lightning.metrics.neighbours` cannot replace this search: it compares each query with the whole
bank, by cosine. Nor can an inverted file index of faiss: it assigns images to the nearest centroid,
while pseudo-labels may differ from that, and it searches the lists nearest to the query instead of
those nearest to the query's cluster. The results would change.
"""

import numpy as np
import torch
from torch import Tensor

from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.blocks import blocks

NEIGHBOURS = 10  # k
NEAR_CLUSTERS = 8  # searched beside an image's own cluster
# If the searched clusters have more images, a random sample of this size is searched.
MAX_CANDIDATES = 50_000


def near_neighbours(
    features: Tensor, page_order: PageOrder, near: IntArray, k: int = NEIGHBOURS
) -> tuple[FloatArray, IntArray]:
    """The k nearest other images by L2 distance of their features.

    Args:
        features: (N, D) of any type.
        page_order: the images of each cluster.
        near: (C, P) the other clusters that are searched for each cluster.
        k: number of neighbours.

    Returns:
        (N, k) distances, smallest first, and (N, k) indices; infinity and -1 where the searched
        clusters have fewer images.
    """
    num_samples = len(features)
    distances = np.full((num_samples, k), np.inf, dtype=np.float32)
    indices = np.full((num_samples, k), -1, dtype=np.int64)
    rng = np.random.default_rng(0)
    for cluster in range(page_order.num_clusters):
        members = page_order.members(cluster)
        if len(members) == 0:
            continue
        searched = [members, *(page_order.members(int(other)) for other in near[cluster])]
        candidates = np.concatenate(searched)
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
    """Distance of each image to its neighbours, relative to the median image.

    Args:
        distances: (N, k) to the nearest neighbours; infinity where there are fewer.

    Returns:
        (N,) the mean of an image's distances, divided by the median of these means. An image
        without neighbours has 0.
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
    """Distances (B, k) and columns (B, k) of the bank; no image is its own neighbour."""
    squares = torch.addmm(bank.square().sum(dim=1), queries, bank.T, alpha=-2)
    squares += queries.square().sum(dim=1, keepdim=True)
    itself = torch.from_numpy(candidates) == torch.from_numpy(own).unsqueeze(1)
    squares.masked_fill_(itself, float("inf"))
    nearest, columns = squares.topk(min(k, len(candidates)), dim=1, largest=False)
    # The difference of squares does not resolve the distances of near-equal images.
    exact = (bank[columns] - queries.unsqueeze(1)).norm(dim=2)
    exact.masked_fill_(nearest.isinf(), float("inf"))
    order = exact.argsort(dim=1)
    return exact.gather(1, order), columns.gather(1, order)
