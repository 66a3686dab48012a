"""What clusterings of the whole data set share: how many samples, and K-Means with a bar."""

import pytorch_lightning as pl
from rich.progress import Progress
from torch import Tensor

from odc_lightning.clustering import Backend, check_num_clusters, nonempty_kmeans
from odc_lightning.features.extraction import shows_bars
from odc_lightning.utils.distributed import from_rank_zero


def num_samples_to_cluster(trainer: pl.Trainer, num_clusters: int) -> int:
    """N, as the datamodule has it.

    Raises:
        ValueError: if the datamodule does not say, or C does not fit.
    """
    num_samples = getattr(trainer.datamodule, "num_samples", None)  # type: ignore[attr-defined]
    if num_samples is None:
        raise ValueError(
            "the number of samples is not known: pass Trainer.fit a datamodule that has "
            "num_samples once it is set up, such as odc_lightning.data.ImageDataModule"
        )
    check_num_clusters(num_samples, num_clusters, threshold=0)
    return num_samples


def cluster_globally(
    trainer: pl.Trainer,
    features: Tensor,
    num_clusters: int,
    iterations: int,
    seed: int,
    backend: Backend,
    description: str,
) -> Tensor:
    """Labels (N,) on the CPU by `nonempty_kmeans` on rank 0, the same on every rank.

    Args:
        trainer: says whether to draw a bar, and where to compute.
        features: (N, D), wherever they lie, equal on all ranks.
        num_clusters, iterations, seed, backend: see `nonempty_kmeans`.
        description: of the bar.
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
            )

    return from_rank_zero(cluster)
