"""Global K-Means for the bootstrap, over features on any device or on disk."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from odc_lightning.clustering.assign import best_scores, nearest
from odc_lightning.clustering.blocks import blocks_of, rows_at
from odc_lightning.utils.optional import import_faiss

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
    device: torch.device | str | None = None,
) -> KMeansResult:
    """Cluster all samples by Lloyd's algorithm, starting from random samples.

    Args:
        features: (N, D); all are used, never a subsample. They may be in RAM, on a GPU or in a
            memory-mapped file, and are read in blocks. Only faiss copies them if they are not fp32.
        num_clusters: C, at most N.
        iterations: Lloyd iterations (20 in the authors' code).
        seed: seed of the first centroids.
        backend: ``"auto"`` is torch, which works on any device, in any precision and from disk;
            ``"faiss"`` takes about five sixths of its time on an idle CPU (docs/performance.md).
        on_iteration: called after each iteration.
        device: device on which torch computes; None for the features' device.

    Returns:
        Labels and centroids on the device, and inertia. A cluster can be empty if samples coincide;
        `odc_lightning.clustering.small_clusters` repairs that.

    Raises:
        ValueError: if N < C, a feature is not finite, the backend is unknown, or faiss is chosen
            and not installed.
    """
    check_features(features, num_clusters)
    run = {"auto": _torch_kmeans, "faiss": _faiss_kmeans, "torch": _torch_kmeans}.get(backend)
    if run is None:
        raise ValueError(f"K-Means backend={backend!r}; expected auto, faiss or torch")
    device = features.device if device is None else torch.device(device)
    return run(features, num_clusters, iterations, seed, on_iteration, device)


def check_features(features: Tensor, num_clusters: int) -> None:
    """Check that features (N, D) can be divided into C clusters.

    Raises:
        ValueError: if N < C or a feature is not finite.
    """
    num_samples = len(features)
    if not 1 <= num_clusters <= num_samples:
        raise ValueError(
            f"K-Means needs at least one sample per cluster: got {num_samples} samples for "
            f"{num_clusters} clusters; lower algorithm.num_clusters"
        )
    # A sum is finite only if all its numbers are, and takes a tenth of the time of the mask.
    blocks = features.split(2**14)
    if torch.stack([rows.sum(dtype=torch.float32) for rows in blocks]).isfinite().all():
        return
    finite = torch.cat([torch.isfinite(rows).all(dim=1) for rows in blocks])
    if not finite.all():  # the sum of large numbers can be infinite
        rows = (~finite).nonzero().flatten()
        raise ValueError(
            f"K-Means needs finite features: {len(rows)} of {num_samples} samples have NaN or "
            f"infinite features, the first at index {int(rows[0])}; inspect these images, or lower "
            "the learning rate (optimizer.lr) if the network has diverged"
        )


def _faiss_kmeans(
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    on_iteration: Callable[[], None],
    device: torch.device,
) -> KMeansResult:
    try:
        faiss = import_faiss()
    except ImportError as error:
        message = f"K-Means backend 'faiss': {error}, or choose the backend 'torch'"
        raise ValueError(message) from error

    points = features.detach().float().cpu().contiguous().numpy()
    clustering = faiss.Kmeans(
        points.shape[1],
        num_clusters,
        # One iteration per call, from the last centroids, so that a progress bar can advance.
        niter=1,
        seed=seed,
        # faiss silently subsamples above 256 points per centroid, and warns below 39.
        max_points_per_centroid=len(points),
        min_points_per_centroid=1,
    )
    if device.type == "cuda" and faiss.get_num_gpus() > 0:
        # The run's own GPU; with gpu=True faiss takes all that it sees.
        clustering.index = faiss.index_cpu_to_gpu(
            faiss.StandardGpuResources(), device.index or 0, clustering.index
        )
    centroids = None
    for _ in range(iterations):
        clustering.train(points, init_centroids=centroids)
        centroids = clustering.centroids
        on_iteration()
    distances, labels = clustering.index.search(points, 1)
    return KMeansResult(
        torch.from_numpy(labels[:, 0]).to(device),
        torch.from_numpy(clustering.centroids).to(device),
        float(distances.sum(dtype="float64")),
    )


def _torch_kmeans(
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    on_iteration: Callable[[], None],
    device: torch.device,
) -> KMeansResult:
    # Drawn on the CPU, so that every device starts from the same samples.
    generator = torch.Generator().manual_seed(seed)
    first = torch.randperm(len(features), generator=generator)[:num_clusters]
    centroids = rows_at(features, first.to(device))
    for _ in range(iterations):
        sums, counts, distances = _one_pass(features, centroids)
        centroids = sums / counts.clamp(min=1).unsqueeze(1)
        # As in scikit-learn, an empty cluster restarts at the sample farthest from its centroid.
        empty = (counts == 0).nonzero().flatten()
        centroids[empty] = rows_at(features, distances.topk(len(empty)).indices)
        on_iteration()
    labels, distances = nearest(features, centroids)
    # Summed on the CPU, because Apple's GPUs have no fp64.
    return KMeansResult(labels, centroids, float(distances.cpu().sum(dtype=torch.float64)))


def _one_pass(features: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums (C, D) and counts (C,) of the samples nearest to each centroid, and distances (N,).

    Each sample is read once. The squared distances have the rounding errors of a difference of
    products; they only serve to find the samples farthest from their centroids.
    """
    sums = torch.zeros_like(centroids)
    counts = torch.zeros(len(centroids), dtype=torch.int64, device=centroids.device)
    bias = torch.linalg.vector_norm(centroids, dim=1).square_().mul_(-0.5)
    distances = []
    for rows in blocks_of(features, centroids, len(centroids)):
        values, labels = best_scores(rows, centroids, bias)
        sums.index_add_(0, labels, rows)
        counts.index_add_(0, labels, torch.ones_like(labels))
        distances.append(torch.linalg.vector_norm(rows, dim=1).square_() - 2 * values)
    return sums, counts, torch.cat(distances)
