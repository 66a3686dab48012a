"""The training run that wrote a checkpoint: its config, its clusters, its images."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints.clustering_state import clustering_states
from odc_lightning.checkpoints.read import read_checkpoint
from odc_lightning.checkpoints.references import add_references
from odc_lightning.checkpoints.run_config import read_plain_yaml, read_run_config, selected
from odc_lightning.utils.seals import check_seal
from odc_lightning.utils.tables import read_table


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

    @cached_property
    def _recorded(self) -> DictConfig:
        return read_run_config(self.folder / "config.yaml")

    @property
    def config(self) -> DictConfig:
        """A copy of the whole config with all references resolved.

        Raises:
            ValueError: the file is damaged, see `read_run_config`.
        """
        return copy.deepcopy(self._recorded)

    @property
    def unresolved_config(self) -> DictConfig:
        """The config with unresolved references where Hydra kept them in ``.hydra``.

        All values are those of `config`, which alone says what the run used. The references are
        those of ``model`` and ``data`` to each other and to the seed.

        Raises:
            ValueError: a file is damaged, see `read_run_config`.
        """
        config = self.config
        written = self._of_hydra("config.yaml")
        groups = {name: written.get(name) for name in ("model", "data")}
        add_references(config, OmegaConf.create(groups), own_only=True)
        return config

    @property
    def references(self) -> DictConfig:
        """Hydra's unresolved config of the command that started the run; empty if it is missing."""
        config: DictConfig = OmegaConf.create(self._of_hydra("config.yaml"))
        return config

    @property
    def choices(self) -> dict[str, Any]:
        """The options of the config groups, by group; empty if Hydra's records are missing."""
        choices = selected(self._of_hydra("hydra.yaml"), "hydra.runtime.choices")
        return dict(choices) if isinstance(choices, Mapping) else {}

    def hydra_with(self, choices: Mapping[str, Any]) -> DictConfig:
        """Hydra's own settings of the run, with other options of some groups; not resolved."""
        plain = self._of_hydra("hydra.yaml")
        hydra = plain.get("hydra")
        runtime = hydra.get("runtime") if isinstance(hydra, dict) else None
        if not isinstance(runtime, dict):
            plain = {"hydra": {"runtime": (runtime := {})}}
        runtime["choices"] = {**self.choices, **choices}
        config: DictConfig = OmegaConf.create(plain)
        return config

    def _of_hydra(self, name: str) -> dict[str, Any]:
        """A file of Hydra's as plain values; references in it are never looked up."""
        file = self.folder / ".hydra" / name
        return read_plain_yaml(file) if file.is_file() else {}

    def image_names(self) -> list[str] | None:
        """Names of the run's training images in order; None if the run has no ``index.csv``."""
        table = self.folder / "index.csv"
        if not table.is_file():
            return None
        check_seal(table)
        return [name for (name,) in read_table(table, "path")]

    def clusters(self, names: Sequence[str]) -> NDArray[np.int64] | None:
        """The clusters (N,) that training gave to N images.

        Args:
            names: names of training images.

        Returns:
            Labels in the order of ``names``; None if the run saved no clusters or no names, or did
            not train on one of the images.

        Raises:
            ValueError: the checkpoint or ``index.csv`` is damaged.
        """
        states = clustering_states(read_checkpoint(self.checkpoint), self.checkpoint)
        known = self.image_names()
        if not states or known is None:
            return None
        rows = {name: index for index, name in enumerate(known)}
        if any(name not in rows for name in names):
            return None
        labels: NDArray[np.int64] = states[0]["labels"].numpy()
        if len(known) != len(labels):
            raise ValueError(
                f"{self.folder / 'index.csv'} names {len(known):,} images, but "
                f"{self.checkpoint.name} has clusters of {len(labels):,}; expected both files of "
                "the same run"
            )
        return labels[[rows[name] for name in names]]
