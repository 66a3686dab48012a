"""Common interface of all clusterings, for callbacks that read pseudo-labels."""

from abc import ABC, abstractmethod

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.find import find


class PseudoLabels(pl.Callback, ABC):
    """Base class of the callbacks that own the pseudo-labels; `SamplesMemory` in ODC.

    Attributes:
        initialized: whether the labels have been set, by clustering or from a checkpoint.
        switch_ratio: 0-dim fp32, the share of the last global batch whose label changed (Fig. 5);
            None if labels do not change within an epoch.
    """

    initialized = False
    switch_ratio: Tensor | None = None

    @property
    @abstractmethod
    def labels(self) -> Tensor:
        """Pseudo-labels (N,) int64."""

    @property
    @abstractmethod
    def counts(self) -> Tensor:
        """Cluster sizes (C,) int64."""

    @abstractmethod
    def distances(self) -> Tensor:
        """Compute the L2 distance (N,) from each clustered feature to its cluster's centroid."""

    @staticmethod
    def find(trainer: pl.Trainer) -> "PseudoLabels | None":
        """Return the trainer's clustering; None without one, as in supervised training."""
        return find(trainer, PseudoLabels)  # type: ignore[type-abstract]
