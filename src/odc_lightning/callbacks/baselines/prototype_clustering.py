"""DeepCluster-v2: spherical K-Means before each epoch, on features of the previous epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.clustering import spherical_kmeans, squared_distances
from odc_lightning.features.extraction import extract_features, training_batches
from odc_lightning.memory import last_occurrences
from odc_lightning.models import PrototypeHead
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import all_gather_batch, from_rank_zero

STATE = ("banks", "assignments", "epoch")


class PrototypeClustering(PseudoLabels):
    """DeepCluster-v2 (Caron et al., NeurIPS 2020): feature banks, and their clusters as labels.

    There is one bank per view. Before each epoch, spherical K-Means clusters one bank for each head
    (head h uses bank h mod V). The centroids are the head's prototypes in this epoch, and the
    labels are its targets for all views. The features of each step replace those in the banks, so
    an extra pass over the images is needed only before training. `labels`, `counts` and `distances`
    are those of the first head.

    Attributes:
        banks: (V, N, D) fp32, the latest feature of each view of each image, of unit length.
        assignments: (N, H) int64, the label of each image for each head.
        epoch: 0-dim int64, the epoch for which the labels were computed.
    """

    def __init__(self, iterations: int = 10, seed: int = 0) -> None:
        """Set the options of K-Means.

        Args:
            iterations: number of K-Means iterations for each head.
            seed: seed of the initial centroids, together with the epoch.

        Raises:
            ValueError: if ``iterations`` is less than 1.
        """
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        self.iterations = iterations
        self.seed = seed
        self.banks: Tensor
        self.assignments: Tensor
        self.epoch: Tensor
        self.initialized = False
        self._head: PrototypeHead
        self._counts: Tensor

    @property
    def labels(self) -> Tensor:
        """Pseudo-labels (N,) int64 of the first head."""
        return self.assignments[:, 0]

    @property
    def counts(self) -> Tensor:
        """Sizes (C,) int64 of the first head's clusters."""
        return self._counts

    def distances(self) -> Tensor:
        """Compute the L2 distance (N,) from each first view to its prototype of the first head."""
        # After training Lightning moves the module to the CPU, but not the banks.
        prototypes = self._head.prototypes[0].to(self.banks)
        return squared_distances(self.banks[0], prototypes, self.labels).sqrt()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Allocate banks and labels on the module's device.

        Raises:
            ValueError: if the head has no prototypes, N or V is unknown, C < 2 or N < C.
        """
        if stage != "fit":
            return
        module = ODCModule.of(pl_module)
        if not isinstance(module.head, PrototypeHead):
            raise ValueError(
                f"the head is a {type(module.head).__name__}, and PrototypeClustering needs a "
                "PrototypeHead; set head@model.head=prototypes, or remove the callback "
                "(~algorithm.prototype_clustering)"
            )
        data = trainer.datamodule  # type: ignore[attr-defined]
        num_samples, num_views = (
            getattr(data, name, None) for name in ("num_samples", "num_views")
        )
        if num_samples is None or num_views is None:
            raise ValueError(
                f"num_samples={num_samples}, num_views={num_views}: pass Trainer.fit a datamodule "
                "that has both after its setup, such as odc_lightning.data.ImageDataModule"
            )
        if not 2 <= module.num_clusters <= num_samples:
            raise ValueError(
                f"algorithm.num_clusters={module.num_clusters} with {num_samples} images; expected "
                f"2 to {num_samples}, about ten times the number of classes you expect"
            )
        self._head = module.head
        device = trainer.strategy.root_device
        self.banks = torch.zeros(num_views, num_samples, module.dim, device=device)
        self.assignments = torch.full((num_samples, self._head.num_heads), -1, device=device)
        self.epoch = torch.tensor(-1)
        self.initialized = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fill the banks and cluster them, for callbacks that observe before the first epoch.

        In eval mode the batch norm of an untrained network has no statistics yet; its features are
        far from those in training, and the first epoch would be lost. So the banks get features of
        a pass in training mode, and eval features only for images that are in no batch.
        """
        if self.initialized:
            return
        module = ODCModule.of(pl_module)
        extract_features(
            trainer,
            module,
            lambda images: normalize(module.embed(images).float(), dim=1),
            "train",
            self.banks[0],
            "Banks: features",
        )
        self.banks[1:] = self.banks[0]
        for indices, features in training_batches(trainer, module, module.embed, "Banks: views"):
            self._write(indices, features)
        self._cluster(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cluster, unless the labels of this epoch exist, as in a run resumed within an epoch."""
        if trainer.current_epoch != int(self.epoch):
            self._cluster(trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the target to the labels (B V, H), the same for all views of an image."""
        labels = self.assignments[batch["index"]]
        batch["target"] = labels.repeat_interleave(len(self.banks), dim=0)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Tensor],  # type: ignore[override]
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write the features of all ranks' batches to the banks."""
        self._write(batch["index"], outputs["features"])

    def state_dict(self) -> dict[str, Any]:
        """Return banks, labels and their epoch; empty before the first clustering.

        The prototypes are in the state of the network.
        """
        if not self.initialized:
            return {}
        # "labels" repeats the first head's labels, under the key that all clusterings share.
        return {**{name: getattr(self, name) for name in STATE}, "labels": self.labels}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the clustering of a checkpoint.

        Raises:
            ValueError: if a tensor has another shape.
        """
        if not state_dict:
            return
        for name in STATE:
            given, expected = tuple(state_dict[name].shape), tuple(getattr(self, name).shape)
            if given != expected:
                raise ValueError(
                    f"the checkpoint's clustering does not match this run: {name!r} is {given}, "
                    f"expected {expected} (samples, views, heads or width differ); resume with the "
                    "data set, data.num_views, neck and head of that run"
                )
        for name in STATE:
            getattr(self, name).copy_(state_dict[name])
        self._count_labels()
        self.initialized = True

    def _write(self, indices: Tensor, features: Tensor) -> None:
        """Write this rank's features (b V, D) of images (b,) to the banks of all ranks."""
        num_views, num_samples, _ = self.banks.shape
        views = torch.arange(num_views, device=indices.device).repeat(len(indices))
        indices = indices.repeat_interleave(num_views)
        unit = normalize(features.float(), dim=1)
        indices, unit, views = all_gather_batch(indices, unit, views)
        rows = views * num_samples + indices  # in the concatenation of all banks
        self.banks.flatten(0, 1)[rows] = unit[last_occurrences(rows)]

    def _cluster(self, epoch: int) -> None:
        """Compute labels and prototypes of an epoch on rank 0, since rounding may change labels."""
        labels, centroids = from_rank_zero(lambda: self._run_kmeans(epoch))
        self.assignments.copy_(labels)
        self._head.prototypes.copy_(centroids)
        self.epoch.fill_(epoch)
        self._count_labels()
        self.initialized = True

    def _run_kmeans(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Return labels (N, H) and centroids (H, C, D), on the CPU."""
        rng = np.random.default_rng([self.seed, epoch])
        num_heads, num_clusters, _ = self._head.prototypes.shape
        results = [
            spherical_kmeans(
                self.banks[head % len(self.banks)],
                num_clusters,
                iterations=self.iterations,
                rng=rng,
            )
            for head in range(num_heads)
        ]
        labels = torch.stack([result.labels for result in results], dim=1)
        return labels.cpu(), torch.stack([result.centroids for result in results]).cpu()

    def _count_labels(self) -> None:
        self._counts = torch.bincount(self.labels, minlength=self._head.num_clusters)
