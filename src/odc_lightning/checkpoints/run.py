"""The training run that wrote a checkpoint: its config, its clusters, its images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from odc_lightning.checkpoints.read import read_checkpoint
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

    @property
    def unresolved_config(self) -> DictConfig:
        """The config with unresolved references where Hydra kept them in ``.hydra``.

        All values are those of `config`, which alone says what the run used.
        """
        config = self.config
        add_references(config, self.references)
        return config

    @property
    def references(self) -> DictConfig:
        """Hydra's unresolved config of the command that started the run; empty if it is missing."""
        return self._of_hydra("config.yaml")

    @property
    def choices(self) -> dict[str, Any]:
        """The options of the config groups, by group; empty if Hydra's records are missing."""
        choices = OmegaConf.select(self._of_hydra("hydra.yaml"), "hydra.runtime.choices")
        return dict(OmegaConf.to_container(choices)) if choices else {}

    def hydra_with(self, choices: Mapping[str, Any]) -> DictConfig:
        """Hydra's own settings of the run, with other options of some groups."""
        hydra = self._of_hydra("hydra.yaml")
        OmegaConf.update(hydra, "hydra.runtime.choices", {**self.choices, **choices}, merge=False)
        return hydra

    def _of_hydra(self, name: str) -> DictConfig:
        file = self.folder / ".hydra" / name
        config = OmegaConf.load(file) if file.is_file() else OmegaConf.create()
        assert isinstance(config, DictConfig)  # Hydra writes nothing else
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
        return [name for (name,) in read_table(table, "path")]

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


def add_references(config: DictConfig, source: Any) -> None:
    """Replace values of a config, in place, by references to the same values.

    A reference then follows the key that it names, for example ``scheduler.T_max`` follows
    ``trainer.max_epochs``. References that call a resolver (``${oc.env:NAME}``) are not used.

    Args:
        config: resolved.
        source: a config, some of whose values are references.
    """
    plain = OmegaConf.to_container(source, resolve=False)
    for key, reference in leaves(plain):
        value = OmegaConf.select(config, key) if isinstance(reference, str) else None
        if value is None or "${" not in reference or ":" in reference:
            continue
        OmegaConf.update(config, key, reference, merge=False)
        try:
            same = OmegaConf.select(config, key) == value
        except (OmegaConfBaseException, RecursionError):  # it leads nowhere, or to itself
            same = False
        if not same:
            OmegaConf.update(config, key, value, merge=False)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of nested dicts, ``a.b.c``, and their values; an empty dict is a value."""
    if isinstance(value, Mapping) and (value or not key):
        for name, child in value.items():
            yield from leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
