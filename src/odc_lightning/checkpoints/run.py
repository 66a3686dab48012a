"""The training run that a checkpoint is from: its config, its clusters, its images."""

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
    """A run's folder, found from one of its checkpoints.

    Attributes:
        folder: with ``config.yaml`` and ``index.csv``, if they are there.
        checkpoint: the file.
    """

    folder: Path
    checkpoint: Path

    @staticmethod
    def of(checkpoint: Path) -> "TrainingRun | None":
        """The run that wrote the file; None if ``config.yaml`` is not where a run puts it."""
        checkpoint = checkpoint.resolve()
        folder = checkpoint.parent.parent
        found = checkpoint.parent.name == "checkpoints" and (folder / "config.yaml").is_file()
        return TrainingRun(folder, checkpoint) if found else None

    @property
    def unresolved_config(self) -> DictConfig:
        """The config before references were resolved, or the resolved one if it is not there.

        What was null, and chosen by the run, is as it was chosen.
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
        """The whole config, with every reference resolved."""
        config = OmegaConf.load(self.folder / "config.yaml")
        assert isinstance(config, DictConfig)  # a run writes nothing else
        return config

    def image_names(self) -> list[str] | None:
        """The names of the run's training images, in their order; None if it kept none."""
        table = self.folder / "index.csv"
        if not table.is_file():
            return None
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return [row["path"] for row in csv.DictReader(file)]

    def clusters(self, names: Sequence[str]) -> NDArray[np.int64] | None:
        """The cluster (N,) of each image of the run's training set, in the order of ``names``.

        Args:
            names: of images; all of them must have been trained on.

        Returns:
            None if the run kept no clusters or no names, or did not see one of the images.
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
    """Take what is null in a config from another one of the same keys, in place."""
    for key in map(str, config):
        if OmegaConf.is_interpolation(config, key) or OmegaConf.is_missing(config, key):
            continue
        value, other = config[key], chosen.get(key)
        if value is None and other is not None:
            config[key] = other
        elif isinstance(value, DictConfig) and isinstance(other, DictConfig):
            _fill_nulls(value, other)
