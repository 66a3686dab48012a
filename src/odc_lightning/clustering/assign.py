"""The nearest centroid of each sample (Sec. 3.1, Eq. 3)."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering.blocks import blocks_of

Assignment = Literal["l2", "dot", "cosine"]
ASSIGNMENTS = get_args(Assignment)

# On a CPU: scores in a block, which is 8 MB, and centroids in it.
SCORES, COLUMNS = 2**21, 2048


def assign(
    features: Tensor,
    centroids: Tensor,
    metric: Assignment = "l2",
    offsets: Tensor | None = None,
) -> Tensor:
    """Label each sample with its nearest centroid (Eq. 3), in blocks if there are many samples.

    Args:
        features, centroids, metric, offsets: see `scores`; the largest score is the nearest
            centroid. Features may have another precision than the centroids and be on another
            device or on disk; blocks are converted.

    Returns:
        (B,) int64 labels in ``0 .. C - 1``, on the centroids' device.
    """
    weights, bias = _as_linear(centroids, metric, offsets)
    blocks = blocks_of(features, centroids, len(centroids))
    return torch.cat([best_scores(rows, weights, bias)[1] for rows in blocks])


def best_scores(features: Tensor, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of ``features @ weights.T + bias`` in each row, and its column.

    Args:
        features: (B, D).
        weights: (C, D).
        bias: (C,).

    Returns:
        (B,) values and (B,) int64 columns; the first column if several are equal.
    """
    if features.device.type != "cpu":
        best = torch.addmm(bias, features, weights.T).max(dim=1)
        return best.values, best.indices
    # Blocks stay in the CPU's cache between the product and the search. This takes less time than
    # the whole product alone, which is written to RAM.
    num_columns = min(len(weights), COLUMNS)
    num_rows = min(len(features), SCORES // num_columns)
    room = features.new_empty(num_rows * num_columns)  # memory of a new block would be cleared
    best_of = [_best_of_block(rows, weights, bias, room) for rows in features.split(num_rows)]
    values = torch.cat([values for values, _ in best_of])
    return values, torch.cat([columns for _, columns in best_of])


def _best_of_block(
    features: Tensor, weights: Tensor, bias: Tensor, room: Tensor
) -> tuple[Tensor, Tensor]:
    values = features.new_full((len(features),), -torch.inf)
    columns = torch.zeros_like(values, dtype=torch.int64)
    for start in range(0, len(weights), COLUMNS):
        part = weights[start : start + COLUMNS]
        scores = room[: len(features) * len(part)].view(len(features), len(part))
        torch.addmm(bias[start : start + COLUMNS], features, part.T, out=scores)
        new, where = scores.max(dim=1)
        columns = torch.where(new > values, where + start, columns)
        values = torch.maximum(values, new)
    return values, columns


def scores(
    features: Tensor,
    centroids: Tensor,
    metric: Assignment = "l2",
    offsets: Tensor | None = None,
) -> Tensor:
    """Similarity of each sample to each centroid.

    Args:
        features: (B, D).
        centroids: (C, D).
        metric: ``"l2"`` is Eq. 3, computed as ``F.C - |C|^2 / 2``. ``"dot"`` is the authors' code,
            the dot product with the centroid; it drops the second term and so favours tight
            clusters, whose means are long. ``"cosine"`` is the dot product with the centroid scaled
            to unit length.
        offsets: (C,) added to the scores of each cluster; see `balancing_offsets`.

    Returns:
        (B, C); larger scores are nearer.

    Raises:
        ValueError: for another metric.
    """
    weights, bias = _as_linear(centroids, metric, offsets)
    return torch.addmm(bias, features, weights.T)


def _as_linear(
    centroids: Tensor, metric: Assignment, offsets: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Weights (C, D) and bias (C,) of the linear map that gives the scores."""
    if metric not in ASSIGNMENTS:
        raise ValueError(f"assignment must be one of {', '.join(ASSIGNMENTS)}, got {metric!r}")
    bias = centroids.new_zeros(len(centroids)) if offsets is None else offsets
    if metric == "l2":
        # |F - C|^2 = |F|^2 - 2 (F.C - |C|^2 / 2), and |F|^2 is the same for every centroid.
        # torch.linalg's norm takes a third of the time of square().sum(), which makes a copy.
        bias = bias - torch.linalg.vector_norm(centroids, dim=1).square_().mul_(0.5)
    return normalize(centroids, dim=1) if metric == "cosine" else centroids, bias


def nearest(features: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """`assign` by L2, together with the distances.

    Args:
        features: (N, D).
        centroids: (C, D).

    Returns:
        (N,) int64 labels and (N,) squared L2 distances.
    """
    labels = assign(features, centroids)
    return labels, squared_distances(features, centroids, labels)


def squared_distances(features: Tensor, centroids: Tensor, labels: Tensor) -> Tensor:
    """Squared L2 distance (N,) of each sample (N, D) to the centroid of its label.

    Features may have another precision than the centroids and be on another device or on disk.
    """
    distances = centroids.new_empty(len(features))
    done = 0
    for rows in blocks_of(features, centroids, features.shape[1]):
        part = slice(done, done + len(rows))
        distances[part] = (rows - centroids[labels[part]]).square_().sum(dim=1)
        done += len(rows)
    return distances
