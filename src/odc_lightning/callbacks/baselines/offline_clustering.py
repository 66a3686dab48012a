"""DeepCluster (DC), the paper's baseline: the whole set is clustered anew before each epoch."""

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
    """Cluster before each epoch: features in eval mode, PCA with whitening, unit length, K-Means.

    The new labels have nothing to do with those before, so the head is drawn anew and its
    optimiser starts again. An epoch samples all clusters equally often, or weighs the loss.

    The raw features (N, F) lie in a file, each rank's own shard, and are read in blocks; what is
    held in memory is the (N, D) that K-Means works on, and that only while it does.
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
            pca_dim: D, the most directions to keep.
            pca_samples: so many samples, drawn at random, tell the directions.
            iterations, backend: of `odc_lightning.clustering.kmeans`.
            reweight: weigh the loss by ``1 / sqrt(N_c)`` in place of uniform sampling (Sec. 3.2).
            layer: dotted path of the backbone's layer to cluster; None is the neck's output.
            scratch_dir: folder of the file with the features; None is the system's.
            seed: with the epoch, of K-Means, the PCA's samples and the head.

        Raises:
            ValueError: if ``pca_dim`` is less than 1 or ``pca_samples`` less than 2.
        """
        if pca_dim < 1:
            raise ValueError(f"pca_dim must be at least 1, got {pca_dim}; DeepCluster's is 256")
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
        self._epoch = -1  # before which the labels were made

    @property
    def labels(self) -> Tensor:
        """Pseudo-labels (N,) int64."""
        return self._labels

    @property
    def counts(self) -> Tensor:
        """Sizes (C,) int64 of the clusters."""
        return self._counts

    def distances(self) -> Tensor:
        """L2 distance (N,) of each whitened feature to the centroid of its cluster."""
        return self._distances

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse what cannot work, before training starts."""
        if stage != "fit":
            return
        module = ODCModule.of(pl_module)
        if not isinstance(module.head, LinearHead):
            raise ValueError(
                f"offline clustering draws a linear head anew each epoch, got a "
                f"{type(module.head).__name__}; set head@model.head=linear"
            )
        if self.layer is not None and self.layer not in dict(module.backbone.named_modules()):
            raise ValueError(
                f"algorithm.offline_clustering.layer={self.layer}: the backbone "
                f"{module.backbone.name} has no such layer"
            )
        num_samples = num_samples_to_cluster(trainer, module.num_clusters)
        device = trainer.strategy.root_device
        self._labels = torch.full((num_samples,), -1, device=device)
        self._counts = torch.zeros(module.num_clusters, dtype=torch.int64, device=device)
        self._distances = torch.zeros(num_samples, device=device)
        self.initialized = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first clustering, so that whatever looks finds labels; or those of a checkpoint."""
        if self.initialized:
            self._tell_sampler(trainer)
        else:
            self._cluster(trainer, ODCModule.of(pl_module))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cluster anew; a run that continues within an epoch keeps the epoch's labels."""
        if trainer.current_epoch != self._epoch:
            self._cluster(trainer, ODCModule.of(pl_module))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Read the batch's labels."""
        batch["target"] = self._labels[batch["index"]]
        if self.reweight:
            batch["weight"] = normalized(loss_weights(self._counts[batch["target"]]))

    def state_dict(self) -> dict[str, Any]:
        """Labels and distances, and the epoch that they are of; nothing before the first."""
        if not self.initialized:
            return {}
        return {"labels": self._labels, "distances": self._distances, "epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with a checkpoint's labels.

        Raises:
            ValueError: if they are of another number of samples or clusters.
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
        self._take(labels, state_dict["epoch"])

    def _take(self, labels: Tensor, epoch: int) -> None:
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
        self._take(labels, epoch)
        centroids = cluster_means(features, self._labels, module.num_clusters)
        self._distances.copy_(squared_distances(features, centroids, self._labels).sqrt())
        self._tell_sampler(trainer)
        self._reset_head(trainer, module, epoch)

    def _tell_sampler(self, trainer: pl.Trainer) -> None:
        """From the next epoch's first batch on, sample its clusters equally often."""
        if self.reweight:
            return
        sampler = getattr(trainer.train_dataloader, "sampler", None)
        if not isinstance(sampler, EpochSampler):
            raise ValueError(
                f"uniform sampling over clusters needs a data loader with an EpochSampler, got "
                f"{type(sampler).__name__}; use odc_lightning.data.ImageDataModule, or "
                "algorithm.reweight=true"
            )
        if sampler.replacement:
            raise ValueError(
                "data.sampling_with_replacement=true and uniform sampling over clusters exclude "
                "each other; set it to false, or algorithm.reweight=true"
            )
        sampler.labels = self._labels.cpu().numpy()

    def _reset_head(self, trainer: pl.Trainer, module: ODCModule, epoch: int) -> None:
        """Draw the classifier anew, and forget what its optimiser knows."""
        parameters = list(module.head.parameters())
        device = module.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(_epoch_seed(self.seed, epoch))
            module.head.reset_parameters()  # type: ignore[operator]  # setup has seen to it
        for parameter in parameters:
            broadcast(parameter.data)
            for optimizer in trainer.optimizers:
                optimizer.state.pop(parameter, None)


def _epoch_seed(seed: int, epoch: int) -> int:
    """31 bits that depend on both."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)
