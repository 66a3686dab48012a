"""The samples memory (Sec. 3.1): read at the start of a batch, updated by its features."""

import logging
import tempfile
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.odc.global_clustering import (
    allocate_features,
    num_samples_to_cluster,
)
from odc_lightning.callbacks.odc.held_back import update_held_back
from odc_lightning.callbacks.order import check_order
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.clustering import Assignment
from odc_lightning.features.placement import Place, Precision
from odc_lightning.memory import ClusterMemory
from odc_lightning.models import PrototypeHead
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import all_gather_batch

log = logging.getLogger(__name__)


class SamplesMemory(PseudoLabels):
    """Owner of the `ClusterMemory` of a run; other callbacks get it by `SamplesMemory.of`.

    At the start of a batch its pseudo-labels become ``batch["target"]``, one entry per view. The
    features of the forward pass, averaged over the views of each image, update the memory by Eq. 2
    and Eq. 3. This is done before the backward pass, on which it does not depend: a GPU computes
    gradients while the host reads what `SmallClusters` needs to know. With several ranks, each rank
    computes the new features and labels of its samples, and all ranks write the same global batch.
    The prototypes of a `PrototypeHead` are kept equal to the centroids.

    Attributes:
        memory: the samples and centroids memories, allocated in ``setup``.
        initialized: whether the memory holds a clustering, from K-Means or a checkpoint.
        switch_ratio: 0-dim fp32, the share of the last global batch whose label changed (Fig. 5).
        step_completed: whether the last batch completed an optimiser step. With gradient
            accumulation every micro-batch is written at once, whereas `CentroidRefresh` and
            `SmallClusters` count optimiser steps.
    """

    def __init__(
        self,
        momentum: float = 0.5,
        renormalize: bool = False,
        assignment: Assignment = "l2",
        place: Place | Literal["auto"] = "auto",
        precision: Precision = "float32",
        scratch_dir: str | None = None,
    ) -> None:
        """Keep the settings; N, C and D come from the data and the module.

        Args:
            momentum, renormalize, assignment: see `ClusterMemory`.
            place: where the features are stored: ``"device"``, ``"ram"``, ``"disk"``, or
                ``"auto"``, the first of these with enough room. Results do not depend on it.
            precision: precision in which the features are stored.
            scratch_dir: folder of the file on disk; None is the system's temporary folder.
        """
        self.settings: dict[str, Any] = {
            "momentum": momentum,
            "renormalize": renormalize,
            "assignment": assignment,
        }
        self.place = place
        self.precision = precision
        self.folder = Path(scratch_dir or tempfile.gettempdir())
        self.memory: ClusterMemory
        self.initialized = False
        self.switch_ratio: Tensor = torch.zeros(())
        self.step_completed = False
        self._global_step = 0
        self._indices = torch.empty(0, dtype=torch.int64)  # (B,) of the current batch

    @staticmethod
    def of(trainer: pl.Trainer) -> "SamplesMemory":
        """Return the samples memory of a trainer.

        Raises:
            ValueError: if the trainer has none.
        """
        owner = find(trainer, SamplesMemory)
        if owner is None:
            raise ValueError(
                "the trainer has no callback SamplesMemory, which the other clustering callbacks "
                "need: add it (config key algorithm.samples_memory)"
            )
        return owner

    @property
    def labels(self) -> Tensor:
        """Pseudo-labels (N,) int64."""
        return self.memory.labels

    @property
    def counts(self) -> Tensor:
        """Cluster sizes (C,) int64."""
        return self.memory.counts

    def distances(self) -> Tensor:
        """Compute the L2 distance (N,) from each sample to the centroid of its cluster."""
        return self.memory.distances()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Allocate the memory on the module's device, and its features where there is room.

        Raises:
            ValueError: if the callbacks are in the wrong order, the number of samples is unknown or
                too small, or there is no room for the features.
        """
        if stage != "fit":
            return
        check_order(trainer.callbacks)  # type: ignore[attr-defined]
        module, device = ODCModule.of(pl_module), trainer.strategy.root_device
        num_samples = num_samples_to_cluster(trainer, module.num_clusters)
        features, where = allocate_features(
            trainer, num_samples, module.dim, self.folder, self.place, self.precision
        )
        if trainer.is_global_zero:
            log.info(where)
        self.memory = ClusterMemory(
            num_samples,
            module.num_clusters,
            module.dim,
            device=device,
            features=features,
            **self.settings,
        )
        self.initialized = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting steps at ``trainer.global_step``, which is not 0 in a resumed run."""
        self._global_step = trainer.global_step

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the target of the batch to its pseudo-labels.

        Raises:
            ValueError: if the memory holds no clustering.
        """
        if not self.initialized:
            raise ValueError(
                "the samples memory is empty: add the callback KMeansBootstrap (config key "
                "algorithm.kmeans_bootstrap) or resume from a checkpoint of this run"
            )
        self.update_prototypes(ODCModule.of(pl_module))
        self._indices = batch["index"]
        if "host_index" in batch:
            self.memory.prefetch(self._indices, batch["host_index"])
        num_views = batch["image"].shape[1] if batch["image"].ndim == 5 else 1
        batch["target"] = self.memory.labels[batch["index"]].repeat_interleave(num_views)

    def update_prototypes(self, module: ODCModule) -> None:
        """Set the prototypes of a `PrototypeHead` to the centroids."""
        if isinstance(module.head, PrototypeHead):
            module.head.prototypes.copy_(normalize(self.memory.centroids, dim=1))

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Update the memory by Eq. 2 and Eq. 3, for the batch of all ranks."""
        features = ODCModule.of(pl_module).step_features
        new, labels = self.memory.propose(self._indices, features)
        columns = [self._indices, new, labels]
        if self.memory.features_elsewhere:  # no rank fetches those of another
            columns.append(self.memory.rows(self._indices))
        self.switch_ratio = self.memory.write(*all_gather_batch(*columns))

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note whether the batch completed an optimiser step."""
        self.step_completed = trainer.global_step > self._global_step
        self._global_step = trainer.global_step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Update the images that no batch has, before the epoch is scored and saved."""
        update_held_back(trainer, ODCModule.of(pl_module), self.memory)

    def state_dict(self) -> dict[str, Any]:
        """Return the memory's tensors, equal on all ranks; empty before the bootstrap."""
        return self.memory.state_dict() if self.initialized else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the clustering of a checkpoint; the bootstrap is then skipped."""
        if state_dict:
            self.memory.load_state_dict(state_dict)
            self.initialized = True
