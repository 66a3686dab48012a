"""Global K-Means, for the bootstrap: faiss where it imports, torch elsewhere."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from odc_lightning.clustering.assign import nearest

Backend = Literal["auto", "faiss", "torch"]


class KMeansResult(NamedTuple):
    """Labels (N,) int64, centroids (C, D) fp32 and inertia (sum of squared distances)."""

    labels: Tensor
    centroids: Tensor
    inertia: float


def kmeans(
    features: Tensor,
    num_clusters: int,
    *,
    iterations: int = 20,
    seed: int = 0,
    backend: Backend = "auto",
    on_iteration: Callable[[], None] = lambda: None,
) -> KMeansResult:
    """Cluster all samples by Lloyd's algorithm from randomly chosen samples.

    Args:
        features: (N, D) fp32; all are used, never a subsample.
        num_clusters: C, at most N.
        iterations: Lloyd iterations (20 in the authors' code).
        seed: of the first centroids.
        backend: ``"auto"`` is faiss for features in RAM, if it imports, and torch otherwise;
            features on a GPU stay there.
        on_iteration: called after each iteration.

    Returns:
        Labels, centroids and inertia on the features' device. A cluster can be empty where
        samples coincide; `odc_lightning.clustering.small_clusters` repairs that.

    Raises:
        ValueError: if N < C, a feature is not finite, or faiss is asked for and missing.
    """
    check_features(features, num_clusters)
    if backend == "auto":
        backend = "faiss" if features.device.type == "cpu" and _faiss_imports() else "torch"
    run = {"faiss": _faiss_kmeans, "torch": _torch_kmeans}.get(backend)
    if run is None:
        raise ValueError(f"K-Means backend must be 'auto', 'faiss' or 'torch', got {backend!r}")
    return run(features, num_clusters, iterations, seed, on_iteration)


def check_features(features: Tensor, num_clusters: int) -> None:
    """Whether features (N, D) can be put into C clusters.

    Raises:
        ValueError: if N < C or a feature is not finite.
    """
    num_samples = len(features)
    if not 1 <= num_clusters <= num_samples:
        raise ValueError(
            f"K-Means needs at least one sample a cluster: got {num_samples} samples for "
            f"{num_clusters} clusters; lower algorithm.num_clusters"
        )
    if not torch.isfinite(features).all():
        rows = (~torch.isfinite(features).all(dim=1)).nonzero().flatten()
        raise ValueError(
            f"K-Means needs finite features: {len(rows)} of {num_samples} samples have NaN or "
            f"infinite ones, the first at index {int(rows[0])}; look at these images, or lower "
            "the learning rate if the network has diverged"
        )


def _faiss_imports() -> bool:
    try:
        import faiss  # noqa: F401
    except ImportError:
        return False
    return True


def _faiss_kmeans(
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    on_iteration: Callable[[], None],
) -> KMeansResult:
    try:
        import faiss
    except ImportError as error:
        raise ValueError(
            "the K-Means backend 'faiss' was asked for, and faiss does not import "
            f"({error}); install faiss-gpu or faiss-cpu, or choose the backend 'torch'"
        ) from error

    points = features.detach().cpu().contiguous().numpy()
    clustering = faiss.Kmeans(
        points.shape[1],
        num_clusters,
        # One iteration a call, from the last centroids, so that a progress bar can move.
        niter=1,
        seed=seed,
        # faiss subsamples in silence past 256 points a centroid, and complains below 39.
        max_points_per_centroid=len(points),
        min_points_per_centroid=1,
        gpu=features.is_cuda and faiss.get_num_gpus() > 0,
    )
    centroids = None
    for _ in range(iterations):
        clustering.train(points, init_centroids=centroids)
        centroids = clustering.centroids
        on_iteration()
    distances, labels = clustering.index.search(points, 1)
    return KMeansResult(
        torch.from_numpy(labels[:, 0]).to(features.device),
        torch.from_numpy(clustering.centroids).to(features.device),
        float(distances.sum(dtype="float64")),
    )


def _torch_kmeans(
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    on_iteration: Callable[[], None],
) -> KMeansResult:
    # Drawn on the CPU, so that a GPU starts from the same samples.
    generator = torch.Generator().manual_seed(seed)
    first = torch.randperm(len(features), generator=generator)[:num_clusters]
    centroids = features[first.to(features.device)].clone()
    for _ in range(iterations):
        labels, distances = nearest(features, centroids)
        sums = torch.zeros_like(centroids).index_add_(0, labels, features)
        counts = torch.bincount(labels, minlength=num_clusters)
        centroids = sums / counts.clamp(min=1).unsqueeze(1)
        # As scikit-learn: an empty cluster starts again at the sample worst served.
        empty = (counts == 0).nonzero().flatten()
        centroids[empty] = features[distances.topk(len(empty)).indices]
        on_iteration()
    labels, distances = nearest(features, centroids)
    # Added up in RAM, since Apple's GPUs have no fp64.
    return KMeansResult(labels, centroids, float(distances.cpu().sum(dtype=torch.float64)))
