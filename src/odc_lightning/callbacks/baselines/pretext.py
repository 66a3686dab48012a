"""Base class of the pretext tasks, which sets a task and measures how well it is solved."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.find import find
from odc_lightning.features.extraction import Split, evaluating
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import sum_over_ranks, world
from odc_lightning.utils.logged_steps import is_logged


class Pretext(pl.Callback, ABC):
    """Base class of callbacks that derive the targets of a batch from its images.

    If targets are class numbers, ``train/accuracy`` is logged in logged steps. At the end of each
    epoch the task is set on the validation images, if there are any, and ``eval/pretext_loss`` is
    logged; with class numbers also ``eval/pretext_accuracy``.

    Attributes:
        targets: noun for the classes of the task, in the plural.
        chance: loss of the best constant prediction; set once training has started.
    """

    targets: str
    chance: float

    @abstractmethod
    def pose(
        self, images: Tensor, indices: Tensor, split: Split, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Turn a batch into a task.

        Args:
            images: (B, 3, H, W), after the transform of the split.
            indices: (B,), positions of the images in their split.
            split: ``"train"`` or ``"val"``.
            epoch: random numbers depend on it, on the seed and on the index only.

        Returns:
            The input of the network, (B, 3, H, W) or (B, V, 3, H, W), and the targets, one entry
            per row of features.
        """

    @staticmethod
    def find(trainer: pl.Trainer) -> "Pretext | None":
        """Return the trainer's pretext task; None if it has none."""
        return find(trainer, Pretext)  # type: ignore[type-abstract]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set the chance loss to ln C, which holds for C equally frequent targets.

        Raises:
            ValueError: if the data have several views per image.
        """
        if stage != "fit":
            return
        num_views = getattr(trainer.datamodule, "num_views", 1)  # type: ignore[attr-defined]
        if num_views != 1:
            raise ValueError(
                f"data.num_views={num_views}: a pretext task makes its own views of one image; "
                "set data.num_views=1"
            )
        self.chance = math.log(ODCModule.of(pl_module).num_clusters)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Replace images and target of the batch by the task."""
        batch["image"], batch["target"] = self.pose(
            batch["image"], batch["index"], "train", trainer.current_epoch
        )

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Tensor],  # type: ignore[override]
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Log the accuracy on the batch: features before the step, head after it."""
        if _are_classes(batch["target"]) and is_logged(trainer):
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                scores = ODCModule.of(pl_module).head(outputs["features"])
            accuracy = (scores.argmax(dim=1) == batch["target"]).float().mean()
            pl_module.log("train/accuracy", accuracy, batch_size=len(batch["index"]))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log loss and accuracy on the validation images."""
        if trainer.datamodule.val_dataset is not None:  # type: ignore[attr-defined]
            pl_module.log_dict(self._validate(trainer, ODCModule.of(pl_module)))

    def _validate(self, trainer: pl.Trainer, module: ODCModule) -> dict[str, Tensor]:
        """Score the validation images, a shard per rank; the task is that of epoch 0."""
        loader = trainer.datamodule.extraction_dataloader("val", *world())  # type: ignore[attr-defined]
        sums = torch.zeros(3, device=module.device)  # of losses, correct rows and all rows
        classes = False
        with evaluating(module):
            for batch in loader:
                batch = trainer.precision_plugin.convert_input(batch)
                batch = trainer.strategy.batch_to_device(batch)
                # As in training, the task is set in full precision.
                images, target = self.pose(batch["image"], batch["index"], "val", epoch=0)
                classes = _are_classes(target)
                with trainer.precision_plugin.forward_context():
                    features = module.embed(images)
                    losses = module.head.losses(features, target)
                    if classes:
                        sums[1] += (module.head(features).argmax(dim=1) == target).sum()
                sums[0] += losses.float().sum()
                sums[2] += len(losses)
        total_loss, num_correct, num_rows = sum_over_ranks(sums)
        scores = {"eval/pretext_loss": total_loss / num_rows}
        if classes:
            scores["eval/pretext_accuracy"] = num_correct / num_rows
        return scores


def _are_classes(target: Tensor) -> bool:
    """Return whether each row has one class number as its target."""
    return target.ndim == 1
