"""The rows of the memory of images that are held back from training."""

import pytorch_lightning as pl
import torch

from odc_lightning.features.extraction import extract_rows
from odc_lightning.memory import ClusterMemory
from odc_lightning.module import ODCModule
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.distributed import broadcast


def has_held_back(trainer: pl.Trainer) -> bool:
    """Whether some training images are in no training batch."""
    rows = getattr(trainer.datamodule, "held_back_rows", ())  # type: ignore[attr-defined]
    return len(rows) > 0


def update_held_back(trainer: pl.Trainer, module: ODCModule, memory: ClusterMemory) -> None:
    """Update the rows of the images that no training batch has by Eq. 2 and Eq. 3.

    Their features are those of the evaluation view, from the network in eval mode. Without this
    they would stay in the clusters of the first epoch.
    """
    if not has_held_back(trainer):
        return
    rows: IntArray = trainer.datamodule.held_back_rows  # type: ignore[attr-defined]
    features = torch.empty(len(rows), memory.features.shape[1], device=module.device)
    extract_rows(trainer, module, module.embed, rows, features, "Held-back images: features")
    indices = torch.from_numpy(rows).to(module.device)
    updated, labels = memory.propose(indices, features)
    memory.write(indices, broadcast(updated), broadcast(labels))
