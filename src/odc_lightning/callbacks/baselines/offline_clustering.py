"""DeepCluster (DC), the paper's baseline: clustering of the whole data set before each epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.baselines.whitened_features import whitened_features
from odc_lightning.callbacks.odc.global_clustering import cluster_globally, num_samples_to_cluster
from odc_lightning.callbacks.odc.loss_reweighting import normalized
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.clustering import (
    Backend,
    cluster_means,
    loss_weights,
    squared_distances,
)
from odc_lightning.data import EpochSampler
from odc_lightning.models import LinearHead
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import broadcast


class OfflineClustering(PseudoLabels):
    """DeepCluster (Caron et al., ECCV 2018): offline clustering before each epoch.

    Features of the network in eval mode are whitened by PCA, L2-normalised, and clustered by
    K-Means. The new labels are unrelated to the previous ones, so the head and its optimiser state
    are reset. In each epoch all clusters are sampled equally often, or the loss is re-weighted.

    Each rank stores the raw features (N, F) of its shard in a file and reads them in blocks. Only
    the features (N, D) that K-Means clusters are held in memory, during clustering.
    """

    def __init__(
        self,
        pca_dim: int = 256,
        pca_samples: int = 100_000,
        iterations: int = 20,
        backend: Backend = "auto",
        reweight: bool = False,
        layer: str | None = None,
        scratch_dir: str | None = None,
        seed: int = 0,
    ) -> None:
        """Keep the settings.

        Args:
            pca_dim: D, the maximum number of principal components to keep.
            pca_samples: maximum number of random samples from which the PCA is computed.
            iterations, backend: options of `odc_lightning.clustering.kmeans`.
            reweight: weigh the loss by ``1 / sqrt(N_c)`` in place of uniform sampling (Sec. 3.2).
            layer: dotted path of the backbone's layer to cluster; None is the neck's output.
            scratch_dir: folder of the feature file; None is the system's temporary folder.
            seed: seed of K-Means, the PCA's samples and the head, together with the epoch.

        Raises:
            ValueError: if ``pca_dim`` is less than 1 or ``pca_samples`` less than 2.
        """
        if pca_dim < 1:
            raise ValueError(f"pca_dim must be at least 1, got {pca_dim}; DeepCluster uses 256")
        if pca_samples < 2:
            raise ValueError(f"pca_samples must be at least 2, got {pca_samples}")
        self.pca_dim = pca_dim
        self.pca_samples = pca_samples
        self.iterations = iterations
        self.backend = backend
        self.reweight = reweight
        self.layer = layer
        self.scratch_dir = None if scratch_dir is None else Path(scratch_dir)
        self.seed = seed
        self._labels: Tensor
        self._counts: Tensor
        self._distances: Tensor
        self._epoch = -1  # the epoch for which the labels were computed

    @property
    def labels(self) -> Tensor:
        """Pseudo-labels (N,) int64."""
        return self._labels

    @property
    def counts(self) -> Tensor:
        """Cluster sizes (C,) int64."""
        return self._counts

    def distances(self) -> Tensor:
        """Return the L2 distance (N,) from each whitened feature to its cluster's centroid."""
        return self._distances

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check the settings and allocate the labels, before training starts.

        Raises:
            ValueError: if the head is not linear, the backbone has no such layer, or the number of
                samples is unknown or too small.
        """
        if stage != "fit":
            return
        module = ODCModule.of(pl_module)
        if not isinstance(module.head, LinearHead):
            raise ValueError(
                f"the head is a {type(module.head).__name__}, and OfflineClustering needs a "
                "LinearHead, which it resets each epoch; set head@model.head=linear"
            )
        if self.layer is not None and self.layer not in dict(module.backbone.named_modules()):
            raise ValueError(
                f"algorithm.offline_clustering.layer={self.layer}: the backbone "
                f"{module.backbone.name} has no such layer; give a name of its named_modules()"
            )
        num_samples = num_samples_to_cluster(trainer, module.num_clusters)
        device = trainer.strategy.root_device
        self._labels = torch.full((num_samples,), -1, device=device)
        self._counts = torch.zeros(module.num_clusters, dtype=torch.int64, device=device)
        self._distances = torch.zeros(num_samples, device=device)
        self.initialized = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compute the first labels for callbacks that observe, unless a checkpoint has labels."""
        if self.initialized:
            self._update_sampler(trainer)
        else:
            self._cluster(trainer, ODCModule.of(pl_module))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cluster, unless the labels of this epoch exist, as in a run resumed within an epoch."""
        if trainer.current_epoch != self._epoch:
            self._cluster(trainer, ODCModule.of(pl_module))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the target of the batch to its pseudo-labels, and the weights if required."""
        batch["target"] = self._labels[batch["index"]]
        if self.reweight:
            batch["weight"] = normalized(loss_weights(self._counts[batch["target"]]))

    def state_dict(self) -> dict[str, Any]:
        """Return labels, distances and their epoch; empty before the first clustering."""
        if not self.initialized:
            return {}
        return {"labels": self._labels, "distances": self._distances, "epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the labels of a checkpoint.

        Raises:
            ValueError: if the checkpoint has another number of samples, or more clusters.
        """
        if not state_dict:
            return
        labels = state_dict["labels"]
        if labels.shape != self._labels.shape or int(labels.max()) >= len(self._counts):
            raise ValueError(
                f"the checkpoint's clustering has {len(labels)} samples in {int(labels.max()) + 1} "
                f"clusters, expected {len(self._labels)} in {len(self._counts)}; resume with the "
                "data set and algorithm.num_clusters of that run"
            )
        self._distances.copy_(state_dict["distances"])
        self._set_labels(labels, state_dict["epoch"])

    def _set_labels(self, labels: Tensor, epoch: int) -> None:
        self._labels.copy_(labels)
        self._counts.copy_(torch.bincount(self._labels, minlength=len(self._counts)))
        self._epoch = epoch
        self.initialized = True

    def _cluster(self, trainer: pl.Trainer, module: ODCModule) -> None:
        epoch = trainer.current_epoch
        features = whitened_features(
            trainer,
            module,
            len(self._labels),
            self.pca_dim,
            layer=self.layer,
            num_drawn=self.pca_samples,
            rng=np.random.default_rng((self.seed, epoch)),
            folder=self.scratch_dir,
        )
        labels = cluster_globally(
            trainer,
            features,
            module.num_clusters,
            self.iterations,
            _epoch_seed(self.seed, epoch),
            self.backend,
            "DeepCluster: K-Means",
        )
        self._set_labels(labels, epoch)
        centroids = cluster_means(features, self._labels, module.num_clusters)
        self._distances.copy_(squared_distances(features, centroids, self._labels).sqrt())
        self._update_sampler(trainer)
        self._reset_head(trainer, module, epoch)

    def _update_sampler(self, trainer: pl.Trainer) -> None:
        """Sample the new clusters equally often, from the first batch of the next epoch."""
        if self.reweight:
            return
        sampler = getattr(trainer.train_dataloader, "sampler", None)
        if not isinstance(sampler, EpochSampler):
            raise ValueError(
                f"uniform sampling over clusters needs a data loader with an EpochSampler, got "
                f"{type(sampler).__name__}; use odc_lightning.data.ImageDataModule, or set "
                "algorithm.reweight=true"
            )
        if sampler.replacement:
            raise ValueError(
                "data.sampling_with_replacement=true and uniform sampling over clusters exclude "
                "each other; set data.sampling_with_replacement=false, or set "
                "algorithm.reweight=true"
            )
        sampler.labels = self._labels.cpu().numpy()

    def _reset_head(self, trainer: pl.Trainer, module: ODCModule, epoch: int) -> None:
        """Reset the classifier to random weights, and drop its optimiser state."""
        parameters = list(module.head.parameters())
        device = module.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(_epoch_seed(self.seed, epoch))
            module.head.reset_parameters()  # type: ignore[operator]  # LinearHead, see setup
        for parameter in parameters:
            broadcast(parameter.data)
            for optimizer in trainer.optimizers:
                optimizer.state.pop(parameter, None)


def _epoch_seed(seed: int, epoch: int) -> int:
    """Derive a 31-bit seed from the seed and the epoch."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)
