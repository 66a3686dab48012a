"""The bootstrap: global K-Means on the features of the untrained network (Sec. 3.1)."""

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.callbacks.odc.global_clustering import cluster_memory
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.clustering import Backend, centre
from odc_lightning.clustering.blocks import put_rows, rows_at
from odc_lightning.features.extraction import extract_features, training_batches
from odc_lightning.memory import last_occurrences, mean_views
from odc_lightning.models import CenteringNeck
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import all_gather_batch


class KMeansBootstrap(pl.Callback):
    """Fill the samples memory before training, unless a checkpoint has filled it.

    Features are extracted in eval mode without augmentation, L2-normalised, and clustered on
    rank 0. Empty clusters are repaired by splitting the largest ones.
    """

    def __init__(
        self,
        iterations: int = 20,
        backend: Backend = "auto",
        seed: int = 0,
        training_views: bool = False,
    ) -> None:
        """Set the options of `odc_lightning.clustering.kmeans`, and the features to cluster.

        Args:
            iterations, backend, seed: options of K-Means.
            training_views: cluster features of augmented views, from the network in training mode,
                as in the first epoch. In eval mode the batch norm of an untrained network has no
                statistics yet; its features differ so much that the first clusters dissolve. With a
                `CenteringNeck` the network is pretrained, and the whole image is averaged with its
                views.
        """
        self.iterations = iterations
        self.backend = backend
        self.seed = seed
        self.training_views = training_views

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Extract the features, cluster them on rank 0, and share the result."""
        owner = SamplesMemory.of(trainer)
        if owner.initialized:
            return
        self.cluster(trainer, ODCModule.of(pl_module), self.training_views)
        owner.initialized = True

    def cluster(self, trainer: pl.Trainer, module: ODCModule, training_views: bool) -> None:
        """Fill the samples memory with features of the network, and cluster them.

        Args:
            trainer, module: of the run.
            training_views: see `__init__`.
        """
        owner = SamplesMemory.of(trainer)
        memory = owner.memory
        self._extract(trainer, module, memory.features)
        if training_views:  # images that the first epoch omits keep their eval features
            self._average_views(trainer, module, memory.features)
        cluster_memory(trainer, memory, self.iterations, self.seed, self.backend, "K-Means")
        owner.update_prototypes(module)

    @staticmethod
    def _extract(trainer: pl.Trainer, module: ODCModule, rows: Tensor) -> None:
        """Fill rows (N, D) with features of unit length; a `CenteringNeck` gets their mean."""
        neck = module.neck

        def embed(images: Tensor) -> Tensor:
            if isinstance(neck, CenteringNeck):
                return module(images)
            return normalize(module.embed(images).float(), dim=1)

        extract_features(trainer, module, embed, "train", rows, "K-Means: features")
        if isinstance(neck, CenteringNeck):
            neck.mean.copy_(centre(rows))

    @staticmethod
    def _average_views(trainer: pl.Trainer, module: ODCModule, rows: Tensor) -> None:
        """Replace rows (N, D) by means over training views, for images of the first epoch.

        With a `CenteringNeck` the mean includes the whole image, whose feature is in the row.
        """
        batches = training_batches(trainer, module, module.embed, "K-Means: views")
        for indices, features in batches:
            views = features.float().view(len(indices), -1, rows.shape[1])
            if isinstance(module.neck, CenteringNeck):
                views = torch.cat([rows_at(rows, indices).unsqueeze(1), views], dim=1)
            means = mean_views(views.flatten(0, 1), len(indices))
            indices, means = all_gather_batch(indices, means)
            put_rows(rows, indices, means[last_occurrences(indices)])
