"""What every clustering has in common, for those that only look at it."""

from abc import ABC, abstractmethod

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.find import find


class PseudoLabels(pl.Callback, ABC):
    """The owner of each sample's pseudo-label; ODC's is `SamplesMemory`.

    Attributes:
        initialized: whether there are labels yet, by clustering or from a checkpoint.
        switch_ratio: 0-dim fp32, share of the last global batch whose label changed (Fig. 5); None
            if a step changes no labels.
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
        """Sizes (C,) int64 of the clusters."""

    @abstractmethod
    def distances(self) -> Tensor:
        """L2 distance (N,) of each clustered feature to the centroid of its cluster."""

    @staticmethod
    def find(trainer: pl.Trainer) -> "PseudoLabels | None":
        """The trainer's clustering; None where there is none, as in supervised training."""
        return find(trainer, PseudoLabels)  # type: ignore[type-abstract]
