"""DeepCluster-v2: spherical K-Means each epoch on what the epoch before has computed anyway."""

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
    """Owns the feature banks, one a view, and the labels that they are clustered into.

    Before each epoch spherical K-Means clusters a bank for every head, from bank to bank in turn;
    the centroids are the head's prototypes in this epoch, the labels its targets for all views.
    Each step's own features then replace those in the banks, so that no pass over the images is
    needed but before training. `labels`, `counts` and `distances` are those of the first head.

    Attributes:
        banks: (V, N, D) fp32, the newest feature of unit length of each view of each image.
        assignments: (N, H) int64, the label of each image in each head.
        epoch: 0-dim int64, the epoch that they were made for.
    """

    def __init__(self, iterations: int = 10, seed: int = 0) -> None:
        """Choose how long to cluster.

        Args:
            iterations: of K-Means, for each head.
            seed: with the epoch it determines the first centroids.

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
        """L2 distance (N,) of each image's first view to its prototype in the first head."""
        # After training Lightning has taken the module to the CPU, but not the banks.
        prototypes = self._head.prototypes[0].to(self.banks)
        return squared_distances(self.banks[0], prototypes, self.labels).sqrt()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Allocate banks and labels where the module will be.

        Raises:
            ValueError: if the head has no prototypes, N or V is not known, or N < C.
        """
        if stage != "fit":
            return
        module = ODCModule.of(pl_module)
        if not isinstance(module.head, PrototypeHead):
            raise ValueError(
                f"the head is a {type(module.head).__name__}, and PrototypeClustering writes the "
                "prototypes of a PrototypeHead; set head@model.head=prototypes, or leave the "
                "callback out (~algorithm.prototype_clustering)"
            )
        data = trainer.datamodule  # type: ignore[attr-defined]
        num_samples, num_views = (
            getattr(data, name, None) for name in ("num_samples", "num_views")
        )
        if num_samples is None or num_views is None:
            raise ValueError(
                f"num_samples={num_samples}, num_views={num_views}: pass Trainer.fit a datamodule "
                "that has both once it is set up, such as odc_lightning.data.ImageDataModule"
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
        """Fill the banks and cluster them, for whatever looks before the first epoch.

        A network in eval mode, whose normalisations have seen nothing yet, gives features far from
        those that it is trained on, and an epoch is lost. So the banks get the features of a pass
        in training mode, and those in eval mode for images that no batch has.
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
        """Cluster, unless it has been done for this epoch. A restart in its middle skips this."""
        if trainer.current_epoch != int(self.epoch):
            self._cluster(trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Give all views of an image its labels, (B V, H)."""
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
        """Put the features of all ranks' batches into the banks."""
        self._write(batch["index"], outputs["features"])

    def state_dict(self) -> dict[str, Any]:
        """Banks, labels and their epoch; the prototypes are the network's. Nothing before them."""
        if not self.initialized:
            return {}
        # The first head's labels once more, by the name that they have in every clustering.
        return {**{name: getattr(self, name) for name in STATE}, "labels": self.labels}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with a checkpoint's clustering.

        Raises:
            ValueError: if it has another shape.
        """
        if not state_dict:
            return
        for name in STATE:
            given, expected = tuple(state_dict[name].shape), tuple(getattr(self, name).shape)
            if given != expected:
                raise ValueError(
                    f"the checkpoint's clustering does not fit: {name!r} is {given}, expected "
                    f"{expected} (samples, views, heads or width differ); resume with the data "
                    "set, data.num_views, neck and head of that run"
                )
        for name in STATE:
            getattr(self, name).copy_(state_dict[name])
        self._count()
        self.initialized = True

    def _write(self, indices: Tensor, features: Tensor) -> None:
        """Features (b V, D) of images (b,), those of all ranks."""
        num_views, num_samples, _ = self.banks.shape
        views = torch.arange(num_views, device=indices.device).repeat(len(indices))
        indices = indices.repeat_interleave(num_views)
        unit = normalize(features.float(), dim=1)
        indices, unit, views = all_gather_batch(indices, unit, views)
        rows = views * num_samples + indices  # of all banks, one below the other
        self.banks.flatten(0, 1)[rows] = unit[last_occurrences(rows)]

    def _cluster(self, epoch: int) -> None:
        """Labels and prototypes for an epoch: rank 0's, since rounding may turn an assignment."""
        labels, centroids = from_rank_zero(lambda: self._clustered(epoch))
        self.assignments.copy_(labels)
        self._head.prototypes.copy_(centroids)
        self.epoch.fill_(epoch)
        self._count()
        self.initialized = True

    def _clustered(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Labels (N, H) and centroids (H, C, D), on the CPU."""
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

    def _count(self) -> None:
        self._counts = torch.bincount(self.labels, minlength=self._head.num_clusters)
