"""Global K-Means without empty clusters, as a start for training."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from odc_lightning.clustering.constraints import Constraints
from odc_lightning.clustering.kmeans import Backend, kmeans
from odc_lightning.clustering.seeded_kmeans import seeded_kmeans
from odc_lightning.clustering.small_clusters import plan_relabelling


def nonempty_kmeans(
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    backend: Backend,
    on_iteration: Callable[[], None],
    device: torch.device | None = None,
    constraints: Constraints | None = None,
) -> Tensor:
    """Cluster by K-Means, and fill empty clusters by splitting the largest ones.

    Args:
        features: (N, D).
        num_clusters: C, at most N.
        iterations, seed, backend, on_iteration, device: see `kmeans`.
        constraints: that the clusters keep; the clustering is then that of `seeded_kmeans`.

    Returns:
        Labels (N,) int64 on the CPU; every cluster has a member.

    Raises:
        ValueError: as `kmeans`, or if N < C.
    """
    if constraints is None:
        labels, centroids, _ = kmeans(
            features,
            num_clusters,
            iterations=iterations,
            seed=seed,
            backend=backend,
            on_iteration=on_iteration,
            device=device,
        )
    else:
        labels, centroids = seeded_kmeans(
            features, num_clusters, constraints, iterations, seed, on_iteration
        )
    repair = plan_relabelling(
        features,
        labels,
        torch.bincount(labels, minlength=num_clusters),
        centroids,
        threshold=0,
        rng=np.random.default_rng(seed),
        constraints=constraints,
    )
    labels = labels.cpu()
    labels[repair.indices] = repair.labels
    return labels
