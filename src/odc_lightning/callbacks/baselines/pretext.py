"""What pretext tasks have in common: they set a task, and measure how well it is solved."""

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


class Pretext(pl.Callback, ABC):
    """Gives each batch targets that come from its images, and no clustering.

    Where targets are class numbers it logs ``train/accuracy`` at each step. At each epoch's end it
    sets the task on the validation images, if there are any, and logs ``eval/pretext_loss`` and,
    with class numbers, ``eval/pretext_accuracy``.

    Attributes:
        targets: what the network is trained to tell apart, in the plural.
        chance: the loss of the best constant prediction, known once training has started.
    """

    targets: str
    chance: float

    @abstractmethod
    def pose(
        self, images: Tensor, indices: Tensor, split: Split, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Set the task.

        Args:
            images: (B, 3, H, W), as the split's transform gives them.
            indices: (B,), of the images in their split.
            split: ``"train"`` or ``"val"``.
            epoch: of which randomness is a function, beside seed and index.

        Returns:
            What the network sees, (B, 3, H, W) or (B, V, 3, H, W), and what it is to learn, an
            entry a row of its features.
        """

    @staticmethod
    def find(trainer: pl.Trainer) -> "Pretext | None":
        """The trainer's pretext task; None where something else is learned."""
        return find(trainer, Pretext)  # type: ignore[type-abstract]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Chance is ln C where all C targets are as frequent.

        Raises:
            ValueError: the data have several views of an image.
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
        """Set the task on the batch."""
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
        """Share of the rows that the head gets right, with the weights that the step leaves."""
        if _are_classes(batch["target"]):
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                scores = ODCModule.of(pl_module).head(outputs["features"])
            right = (scores.argmax(dim=1) == batch["target"]).float().mean()
            pl_module.log("train/accuracy", right, batch_size=len(batch["index"]))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure on the validation images."""
        if trainer.datamodule.val_dataset is not None:  # type: ignore[attr-defined]
            pl_module.log_dict(self._validate(trainer, ODCModule.of(pl_module)))

    def _validate(self, trainer: pl.Trainer, module: ODCModule) -> dict[str, Tensor]:
        """Each rank its own images; the task is the same in every epoch."""
        loader = trainer.datamodule.extraction_dataloader("val", *world())  # type: ignore[attr-defined]
        sums = torch.zeros(3, device=module.device)  # of losses, of right rows, and of rows
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
        total_loss, num_right, num_rows = sum_over_ranks(sums)
        scores = {"eval/pretext_loss": total_loss / num_rows}
        if classes:
            scores["eval/pretext_accuracy"] = num_right / num_rows
        return scores


def _are_classes(target: Tensor) -> bool:
    """Whether there is one class number a row."""
    return target.ndim == 1
