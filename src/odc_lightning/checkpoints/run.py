"""The training run that wrote a checkpoint: its config, its clusters, its images."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints.read import read_checkpoint


@dataclass(frozen=True)
class TrainingRun:
    """A run folder, found from one of its checkpoints.

    Attributes:
        folder: the run folder, with ``config.yaml`` and, if the run wrote it, ``index.csv``.
        checkpoint: the checkpoint file.
    """

    folder: Path
    checkpoint: Path

    @staticmethod
    def of(checkpoint: Path) -> "TrainingRun | None":
        """The run that wrote the file; None if the file is not in ``checkpoints/`` of a run."""
        checkpoint = checkpoint.resolve()
        folder = checkpoint.parent.parent
        is_of_run = checkpoint.parent.name == "checkpoints" and (folder / "config.yaml").is_file()
        return TrainingRun(folder, checkpoint) if is_of_run else None

    @property
    def unresolved_config(self) -> DictConfig:
        """The config with unresolved references, or the resolved config if that is missing.

        Values that were null and that the run chose have the chosen values.
        """
        written = self.folder / ".hydra" / "config.yaml"
        if not written.is_file():
            return self.config
        config = OmegaConf.load(written)
        assert isinstance(config, DictConfig)  # Hydra writes nothing else
        _fill_nulls(config, self.config)
        return config

    @property
    def config(self) -> DictConfig:
        """The whole config with all references resolved."""
        config = OmegaConf.load(self.folder / "config.yaml")
        assert isinstance(config, DictConfig)  # a run writes nothing else
        return config

    def image_names(self) -> list[str] | None:
        """Names of the run's training images in order; None if the run has no ``index.csv``."""
        table = self.folder / "index.csv"
        if not table.is_file():
            return None
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return [row["path"] for row in csv.DictReader(file)]

    def clusters(self, names: Sequence[str]) -> NDArray[np.int64] | None:
        """The clusters (N,) that training gave to N images.

        Args:
            names: names of training images.

        Returns:
            Labels in the order of ``names``; None if the run saved no clusters or no names, or did
            not train on one of the images.
        """
        callbacks = read_checkpoint(self.checkpoint).get("callbacks", {})
        states = [
            state for state in callbacks.values() if isinstance(state, dict) and "labels" in state
        ]
        known = self.image_names()
        if not states or known is None:
            return None
        rows = {name: index for index, name in enumerate(known)}
        if any(name not in rows for name in names):
            return None
        labels: NDArray[np.int64] = states[0]["labels"].numpy()
        return labels[[rows[name] for name in names]]


def _fill_nulls(config: DictConfig, chosen: DictConfig) -> None:
    """Replace null and missing values, in place, by those of another config with the same keys."""
    for key in map(str, config):
        if OmegaConf.is_interpolation(config, key):
            continue
        value, other = config.get(key), chosen.get(key)
        if value is None:
            config[key] = other
        elif isinstance(value, DictConfig) and isinstance(other, DictConfig):
            _fill_nulls(value, other)
