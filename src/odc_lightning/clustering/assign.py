"""The nearest centroid of each sample (Sec. 3.1, Eq. 3)."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering.blocks import blocks_of

Assignment = Literal["l2", "dot", "cosine"]
ASSIGNMENTS = get_args(Assignment)

ROWS, COLUMNS = 512, 2048  # samples and centroids per block, on a CPU
WIDTH = 64  # neighbouring scores whose maximum is computed at once


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
    best_of = [_best_of_block(rows, weights, bias) for rows in features.split(ROWS)]
    values = torch.cat([values for values, _ in best_of])
    return values, torch.cat([columns for _, columns in best_of])


def _best_of_block(features: Tensor, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    values, columns = _largest(torch.addmm(bias[:COLUMNS], features, weights[:COLUMNS].T))
    for start in range(COLUMNS, len(weights), COLUMNS):
        part = slice(start, start + COLUMNS)
        new, where = _largest(torch.addmm(bias[part], features, weights[part].T))
        columns = torch.where(new > values, where + start, columns)
        values = torch.maximum(values, new)
    return values, columns


def _largest(scores: Tensor) -> tuple[Tensor, Tensor]:
    """``scores.max(dim=1)`` of (B, C), in a sixth of the time on a CPU.

    torch computes a maximum with vector instructions, but its index one number at a time. So the
    index is searched only among the `WIDTH` numbers around the maximum.
    """
    whole = scores.shape[1] // WIDTH * WIDTH
    tops = scores[:, :whole].unflatten(1, (-1, WIDTH)).amax(dim=2)
    if whole < scores.shape[1]:
        tops = torch.cat([tops, scores[:, whole:].amax(dim=1, keepdim=True)], dim=1)
    best = tops.max(dim=1)
    places = best.indices.unsqueeze(1) * WIDTH + torch.arange(WIDTH)
    places.clamp_(max=scores.shape[1] - 1)
    first = scores.gather(1, places).argmax(dim=1, keepdim=True)
    return best.values, places.gather(1, first).squeeze(1)


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
