"""Label-free measures that tell whether features get better or worse for the images at hand.

N is the number of images, M that of the images on which the features are measured, V the number of
augmented views of each, and D the width. All features are compared by the cosine after the mean of
the N features has been subtracted: the features of one data set share a large common part, which
would hide their differences.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering import kmeans
from odc_lightning.metrics.clustering_scores import adjusted_mutual_information
from odc_lightning.metrics.feature_rank import effective_rank
from odc_lightning.metrics.neighbours import nearest_neighbours

K = 10
DIRECTIONS = 64
RIDGE = 1e-4  # of the mean variance between images, added to that within them


def criterion(measures: Mapping[str, float]) -> float:
    """The number by which a run keeps its best state, 0 or more; larger is better.

    The agreement of views about an image's neighbours rises with every invariance that is learned,
    a harmful one too, which replaces the neighbours. The fifth root of the share of neighbours that
    were kept limits how many neighbours a network may give up for agreement.

    Args:
        measures: of `adaptation_measures`.
    """
    return measures["neighbours_agree"] * measures["neighbours_kept"] ** (1 / 5)


def adaptation_measures(
    features: Tensor, views: Tensor, own: Tensor, start: Tensor
) -> dict[str, float]:
    """All measures of a network, by name; all are NaN where a feature is not finite.

    Args:
        features: (N, D) of all images, N of at least 2.
        views: (M, V, D) of the measured images, V of at least 2.
        own: (M,) int64, the measured images among the N.
        start: (M, K) int64, their `neighbours_of` at the start.
    """
    if not bool(features.isfinite().all()) or not bool(views.isfinite().all()):
        return dict.fromkeys(NAMES, math.nan)
    num_measured, num_views, _ = views.shape
    pairs = [(v, v + 1) for v in range(0, num_views - 1, 2)]
    agreeing = [neighbours_agree(views[:, a], views[:, b], features, own) for a, b in pairs]
    values = (
        sum(agreeing) / len(agreeing),
        overlap(neighbours_of(features, own), start),
        view_retrieval(views.flatten(0, 1), features, own.repeat_interleave(num_views)),
        effective_rank(_centred(features[own], features).cpu()),
        fisher_ratio(_centred(views.flatten(0, 1), features).view_as(views)),
        cluster_stability(
            _centred(views[:, 0], features), _centred(views[:, 1], features), num_measured // 8
        ),
    )
    return dict(zip(NAMES, values, strict=True))


NAMES = (
    *("neighbours_agree", "neighbours_kept", "view_retrieval"),
    *("effective_rank", "fisher_ratio", "cluster_stability"),
)


def view_retrieval(views: Tensor, features: Tensor, own: Tensor) -> float:
    """The share of views for which their own image is among the most similar ones.

    These are 1 % of all images, at least one and at most 100, so that the share depends little on
    the number of images. Where it is small, the views hide what tells the images apart.

    Args:
        views: (M, D), features of augmented views.
        features: (N, D), of all images.
        own: (M,) int64, the image of each view.
    """
    k = min(max(1, len(features) // 100), 100)
    _, found = nearest_neighbours(_centred(features, features), _centred(views, features), k)
    return float((found == own.unsqueeze(1)).any(dim=1).float().mean())


def neighbours_of(features: Tensor, queries: Tensor, k: int = K) -> Tensor:
    """The k nearest images of some images, without themselves.

    Args:
        features: (N, D), of all images.
        queries: (M,) int64, images among the N.
        k: number of neighbours; fewer if there are only N - 1 others.

    Returns:
        (M, min(k, N - 1)) int64, nearest first.
    """
    return _nearest_others(features[queries], features, queries, k)


def neighbours_kept(now: Tensor, start: Tensor, queries: Tensor, k: int = K) -> float:
    """The mean share of the k nearest images at the start that still are among the k nearest.

    Args:
        now, start: (N, D) and (N, D'), features of the same images.
        queries, k: see `neighbours_of`.
    """
    return overlap(neighbours_of(now, queries, k), neighbours_of(start, queries, k))


def neighbours_agree(
    views_a: Tensor, views_b: Tensor, features: Tensor, own: Tensor, k: int = K
) -> float:
    """The mean share of the k images nearest to one view that are also nearest to another one.

    Args:
        views_a, views_b: (M, D), features of two views of each image.
        features, own: see `view_retrieval`; a view's own image is none of its neighbours.
        k: number of neighbours; fewer if there are only N - 1 others.
    """
    found = [_nearest_others(views, features, own, k) for views in (views_a, views_b)]
    return overlap(*found)


def overlap(found: Tensor, others: Tensor) -> float:
    """The mean share of entries that two rows have in common; both (M, k) without repetitions."""
    return float((found.unsqueeze(2) == others.unsqueeze(1)).any(dim=2).float().mean())


def fisher_ratio(views: Tensor) -> float:
    """The variance between images over the variance between views of an image.

    The mean eigenvalue of the between-image covariance relative to the within-image covariance, as
    in Fisher's discriminant analysis, in the leading principal directions of the image means. LiDAR
    (Thilak et al., ICLR 2024) takes the effective rank of the same eigenvalues.

    Args:
        views: (M, V, D), V views of each image; M and V of at least 2.

    Returns:
        0 or more; 0 where all image means are equal.
    """
    views = views.cpu().double()
    means = views.mean(dim=1)
    within = (views - means.unsqueeze(1)).flatten(0, 1)
    between = means - means.mean(dim=0)
    _, values, directions = torch.linalg.svd(between, full_matrices=False)
    directions = directions[:DIRECTIONS][values[:DIRECTIONS] > 1e-9 * values[0]].T
    if directions.shape[1] == 0:
        return 0.0
    variances = values[: directions.shape[1]].square() / len(means)  # `between` is diagonal here
    projected = within @ directions
    covariance = projected.T @ projected / len(projected)
    # Without it, a direction in which the views do not differ would have an infinite ratio.
    covariance += RIDGE * variances.mean() * torch.eye(len(variances))
    # The trace of the product, which is the sum of the generalised eigenvalues.
    return float(torch.linalg.inv(covariance).diagonal() @ variances) / len(variances)


def cluster_stability(views_a: Tensor, views_b: Tensor, num_clusters: int, seed: int = 0) -> float:
    """The agreement (AMI) of the clusters of two views of the same images.

    Args:
        views_a, views_b: (M, D), features of two views of each image.
        num_clusters: C of both K-Means; at least 2 and at most M // 2 are used.
        seed: of the first centroids.
    """
    clusters = max(2, min(num_clusters, len(views_a) // 2))
    labels = [
        kmeans(normalize(views.float(), dim=1), clusters, seed=seed).labels
        for views in (views_a, views_b)
    ]
    return adjusted_mutual_information(*labels)


def _centred(rows: Tensor, features: Tensor) -> Tensor:
    """Unit vectors of rows (M, D) after the mean of all features (N, D) is subtracted."""
    return normalize(rows.float() - features.float().mean(dim=0), dim=1)


def _nearest_others(rows: Tensor, features: Tensor, own: Tensor, k: int) -> Tensor:
    """The k nearest of N images to each row (M, D), without the row's own image."""
    k = min(k, len(features) - 1)
    _, found = nearest_neighbours(_centred(features, features), _centred(rows, features), k + 1)
    dropped = found == own.unsqueeze(1)
    dropped[:, -1] |= ~dropped.any(dim=1)
    return found[~dropped].view(len(rows), k)
