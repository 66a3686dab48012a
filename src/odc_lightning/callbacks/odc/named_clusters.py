"""Names that a person gave: each has a cluster, in which its images stay."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.odc.held_back import has_held_back
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.callbacks.odc.small_clusters import SmallClusters
from odc_lightning.clustering import make_constraints
from odc_lightning.runs.given_labels import GivenLabels, read_labels, unknown_images
from odc_lightning.utils.distributed import broadcast, from_rank_zero
from odc_lightning.utils.home import expanded
from odc_lightning.utils.text import printable, quantity

log = logging.getLogger(__name__)


class NamedClusters(pl.Callback):
    """Give the memory the constraints of a file of labels.

    The names are part of each checkpoint: a resumed run keeps those that it started with, whatever
    has become of the file.

    Attributes:
        given: what is said about the N images; None before the file is read.
    """

    def __init__(self, labels: str) -> None:
        """Set the file: a ``labels.json``, or a CSV table with the columns path and label."""
        self.labels = labels
        self.given: GivenLabels | None = None
        self._digest = ""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the file, unless the names are those of a checkpoint, and limit the memory.

        Raises:
            ValueError: see `read_labels` and `make_constraints`.
        """
        if self.given is None:
            self._read(trainer)
        elif trainer.is_global_zero and _digest(self.labels) not in ("", self._digest):
            log.warning(
                "labels=%s has changed since the run started, which keeps the names that it "
                "started with; new names need a new run",
                printable(self.labels),
            )
        self._limit(trainer)

    def on_before_backward(self, trainer: pl.Trainer, *_: Any) -> None:
        """Label the images in pairs anew, after the batch is in the memory."""
        self._label_units(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """The same at the end of an epoch, if held-back images have come into the memory."""
        if has_held_back(trainer):
            self._label_units(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return what is said, and a digest of the file."""
        if self.given is None:
            return {}
        given = self.given
        return {
            "names": given.names,
            "named": torch.from_numpy(given.labels),
            "refused": torch.from_numpy(given.refused),
            "groups": torch.from_numpy(given.groups),
            "apart": torch.from_numpy(given.apart),
            "digest": self._digest,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if state_dict:
            self.given = GivenLabels(
                names=state_dict["names"],
                labels=state_dict["named"].numpy(),
                refused=state_dict["refused"].numpy(),
                groups=state_dict["groups"].numpy(),
                apart=state_dict["apart"].numpy(),
                unknown=[],
            )
            self._digest = state_dict["digest"]

    def _read(self, trainer: pl.Trainer) -> None:
        """Read the file on rank 0, and say what it has."""
        source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
        images = [source.name(index) for index in range(len(source))]
        self.given, self._digest = from_rank_zero(
            lambda: (read_labels(self.labels, images), _digest(self.labels))
        )
        if trainer.is_global_zero:
            named = int((self.given.labels >= 0).sum())
            log.info(
                "labels=%s: %s of %s",
                printable(self.labels),
                quantity(len(self.given.names), "name"),
                quantity(named, "image"),
            )
            if line := unknown_images(self.given):
                log.warning(line)

    def _limit(self, trainer: pl.Trainer) -> None:
        """Set the constraints of the memory."""
        memory, small = SamplesMemory.of(trainer).memory, find(trainer, SmallClusters)
        given = self.given
        assert given is not None
        constraints = make_constraints(
            given.labels,
            given.refused,
            given.groups,
            given.apart,
            len(given.names),
            memory.num_clusters,
            0 if small is None else small.threshold,
        )
        memory.constraints = constraints.to(memory.labels.device)

    def _label_units(self, trainer: pl.Trainer) -> None:
        memory = SamplesMemory.of(trainer).memory
        indices, labels = memory.unit_labels()
        if len(indices) > 0:
            # Scores differ between ranks by rounding; all take the labels of rank 0.
            memory.relabel(indices, broadcast(labels))


def _digest(path: Path | str) -> str:
    """A digest of a file's content; empty if it is gone."""
    file = expanded(path)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""
