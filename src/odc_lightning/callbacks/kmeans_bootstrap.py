"""The bootstrap: global K-Means on the features of the untrained network (Sec. 3.1)."""

import numpy as np
import pytorch_lightning as pl
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.callbacks.samples_memory import SamplesMemory
from odc_lightning.clustering import Backend, kmeans, plan_relabelling
from odc_lightning.distributed import broadcast, from_rank_zero
from odc_lightning.extraction import extract_features, shows_bars
from odc_lightning.module import ODCModule


class KMeansBootstrap(pl.Callback):
    """Fill the samples memory in ``on_train_start``, unless a checkpoint has filled it.

    Features are extracted in eval mode without augmentation and L2-normalised, then clustered on
    rank 0. Clusters that come out empty are repaired by splitting the largest.
    """

    def __init__(self, iterations: int = 20, backend: Backend = "auto", seed: int = 0) -> None:
        """Keep the settings of `odc_lightning.clustering.kmeans`."""
        self.iterations = iterations
        self.backend = backend
        self.seed = seed

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Extract, cluster, share."""
        owner = SamplesMemory.of(trainer)
        if owner.initialized:
            return
        memory, module = owner.memory, ODCModule.of(pl_module)
        extract_features(
            trainer,
            module,
            lambda images: normalize(module.embed(images).float(), dim=1),
            "train",
            memory.features,
            "Bootstrap: features",
        )
        show = shows_bars(trainer)
        labels = from_rank_zero(lambda: self._cluster(memory.features, memory.num_clusters, show))
        memory.initialize(labels.to(memory.labels.device))
        broadcast(memory.centroids)
        owner.initialized = True

    def _cluster(self, features: Tensor, num_clusters: int, show: bool) -> Tensor:
        """Labels (N,) with no empty cluster, on the CPU."""
        with Progress(disable=not show, transient=True) as progress:
            task = progress.add_task("Bootstrap: K-Means", total=self.iterations)
            labels, centroids, _ = kmeans(
                features,
                num_clusters,
                iterations=self.iterations,
                seed=self.seed,
                backend=self.backend,
                on_iteration=lambda: progress.advance(task),
            )
        repair = plan_relabelling(
            features,
            labels,
            torch.bincount(labels, minlength=num_clusters),
            centroids,
            threshold=0,
            rng=np.random.default_rng(self.seed),
        )
        labels = labels.cpu()
        labels[repair.indices] = repair.labels
        return labels
