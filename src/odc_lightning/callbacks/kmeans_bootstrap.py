"""The bootstrap: global K-Means on the features of the untrained network (Sec. 3.1)."""

import pytorch_lightning as pl
from torch.nn.functional import normalize

from odc_lightning.callbacks.global_clustering import cluster_globally
from odc_lightning.callbacks.samples_memory import SamplesMemory
from odc_lightning.clustering import Backend
from odc_lightning.distributed import broadcast
from odc_lightning.extraction import extract_features
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
        labels = cluster_globally(
            trainer,
            memory.features,
            memory.num_clusters,
            self.iterations,
            self.seed,
            self.backend,
            "Bootstrap: K-Means",
        )
        memory.initialize(labels.to(memory.labels.device))
        broadcast(memory.centroids)
        owner.initialized = True
