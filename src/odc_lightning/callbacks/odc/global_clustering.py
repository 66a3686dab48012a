"""Shared parts of clusterings of the whole data set: samples, room for features, K-Means."""

from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
from rich.progress import Progress
from torch import Tensor

from odc_lightning.callbacks.find import find
from odc_lightning.clustering import Backend, Constraints, check_num_clusters, nonempty_kmeans
from odc_lightning.features.extraction import shows_bars
from odc_lightning.features.placement import Budget, Place, Precision, budget, place_features
from odc_lightning.memory import ClusterMemory
from odc_lightning.utils.distributed import from_rank_zero, largest_over_ranks


def num_samples_to_cluster(trainer: pl.Trainer, num_clusters: int) -> int:
    """Return the number of samples N of the datamodule.

    Raises:
        ValueError: if the datamodule has no ``num_samples``, or N is too small for C clusters that
            the trainer's `SmallClusters`, if it has one, would not call small.
    """
    from odc_lightning.callbacks.odc.small_clusters import SmallClusters  # which needs this file

    num_samples = getattr(trainer.datamodule, "num_samples", None)  # type: ignore[attr-defined]
    if num_samples is None:
        raise ValueError(
            "the number of samples is unknown: pass Trainer.fit a datamodule that has num_samples "
            "after its setup, such as odc_lightning.data.ImageDataModule"
        )
    small = find(trainer, SmallClusters)
    check_num_clusters(num_samples, num_clusters, None if small is None else small.threshold)
    return num_samples


def allocate_features(
    trainer: pl.Trainer,
    num_samples: int,
    width: int,
    folder: Path,
    place: Place | Literal["auto"] = "auto",
    precision: Precision = "float32",
) -> tuple[Tensor, str]:
    """Allocate features (N, D) where there is room, see `place_features`; for all ranks at once."""
    device = trainer.strategy.root_device

    def least(room: int) -> int:
        """Of all ranks, so that they choose the same place; and none allocates before another."""
        return -largest_over_ranks(-room, device)

    own = budget(device, folder, trainer.num_devices)
    on_device = None if own.device is None else least(own.device)
    free = Budget(on_device, least(own.ram), least(own.disk))
    return place_features(
        num_samples,
        width,
        device=device,
        place=place,
        precision=precision,
        folder=folder,
        free=free,
    )


def cluster_memory(
    trainer: pl.Trainer,
    memory: ClusterMemory,
    iterations: int,
    seed: int,
    backend: Backend,
    description: str,
) -> None:
    """Start a memory, equal on all ranks, from a global clustering of the features in it.

    Args:
        trainer, iterations, seed, backend, description: see `cluster_globally`.
        memory: with features (N, D).
    """
    labels = cluster_globally(
        trainer,
        memory.features,
        memory.num_clusters,
        iterations,
        seed,
        backend,
        description,
        memory.constraints,
    )
    memory.initialize(labels.to(memory.labels.device))


def cluster_globally(
    trainer: pl.Trainer,
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    backend: Backend,
    description: str,
    constraints: Constraints | None = None,
) -> Tensor:
    """Cluster all features with `nonempty_kmeans` on rank 0, and send the labels to all ranks.

    Args:
        trainer: determines the device, and whether to draw a progress bar.
        features: (N, D) on any device, equal on all ranks.
        num_clusters, iterations, seed, backend: see `nonempty_kmeans`.
        description: text of the progress bar.
        constraints: see `nonempty_kmeans`.

    Returns:
        Labels (N,) int64 on the CPU, the same on every rank.
    """

    def cluster() -> Tensor:
        with Progress(disable=not shows_bars(trainer), transient=True) as progress:
            task = progress.add_task(description, total=iterations)
            return nonempty_kmeans(
                features,
                num_clusters,
                iterations,
                seed,
                backend,
                lambda: progress.advance(task),
                trainer.strategy.root_device,
                constraints,
            )

    return from_rank_zero(cluster)
