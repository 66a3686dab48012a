"""Fine-tuning of the backbone and a linear classifier on few labels."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from odc_lightning.data import ImageSource
from odc_lightning.data.files.lists import read_list
from odc_lightning.evaluation.linear_probes import Batch, top_accuracies
from odc_lightning.models import Backbone
from odc_lightning.utils.arrays import IntArray


class FineTuning(pl.LightningModule):
    """A copy of the backbone with a linear classifier; a batch is ``{"image", "target"}``.

    Args:
        backbone: is copied and not changed.
        num_classes: C.
        optimizer: called with the backbone's parameters; the classifier's are added as a second
            group, whose learning rate is ``head_lr_multiplier`` times the backbone's.
        scheduler: called with the optimiser; stepped each epoch.
        head_lr_multiplier: 1, 10 or 100 in the authors' model zoo.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        head_lr_multiplier: float,
    ) -> None:
        super().__init__()
        # Lightning keeps the mode that each part has.
        self.backbone = copy.deepcopy(backbone).requires_grad_(True).train()
        self.classifier = nn.Linear(backbone.num_features, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        self.accuracies = nn.ModuleDict(top_accuracies(num_classes))
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._head_lr_multiplier = head_lr_multiplier

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, C)."""
        return self.classifier(self.backbone(images))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The cross-entropy of a batch."""
        return cross_entropy(self(batch["image"]), batch["target"])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the accuracies."""
        logits = self(batch["image"])
        for name, accuracy in self.accuracies.items():
            accuracy.update(logits, batch["target"])  # type: ignore[operator]
            self.log(f"semi_supervised/{name}", accuracy)  # type: ignore[arg-type]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Two parameter groups: the backbone, and the classifier with its own learning rate."""
        optimizer = self._optimizer([{"params": list(self.backbone.parameters())}])
        lr = optimizer.param_groups[0]["lr"] * self._head_lr_multiplier
        optimizer.add_param_group({"params": list(self.classifier.parameters()), "lr": lr})
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}


def listed_images(source: ImageSource, path: Path) -> IntArray:
    """Indices of the images that a list names, in ascending order, see `find_listed`.

    Args:
        source: all images.
        path: a list as `odc_lightning.data.files.lists` reads it.

    Raises:
        ValueError: the file is not such a list, or names no images or others than the source has.
    """
    names = [source.name(index) for index in range(len(source))]
    known = {*names, *(name.rpartition("/")[2] for name in names)}
    rows = read_list(path, known.__contains__)
    if not rows:
        raise ValueError(f"{path} names no images; expected the images to train on, one a line")
    return find_listed(source, [row.path for row in rows])


def find_listed(source: ImageSource, lines: Sequence[str]) -> IntArray:
    """Indices of the images that a published list names, in ascending order.

    Args:
        source: all images.
        lines: one name each, such as ``n01440764/n01440764_10183.JPEG``, optionally followed by a
            label. The folder may be missing if only one image has the file name.

    Raises:
        ValueError: a listed image is missing, or several images match.
    """
    by_name: dict[str, list[int]] = {}
    for index in range(len(source)):
        name = source.name(index)
        for known_as in {name, name.rpartition("/")[2]}:
            by_name.setdefault(known_as, []).append(index)
    found: set[int] = set()
    wrong: list[str] = []
    for line in filter(None, (line.strip() for line in lines)):
        without_label = line.rpartition(" ")[0]
        names = (line, without_label, line.rpartition("/")[2], without_label.rpartition("/")[2])
        indices = next((by_name[name] for name in names if name in by_name), [])
        found.update(indices[:1])
        wrong += [line] * (len(indices) != 1)
    if wrong:
        raise ValueError(
            f"{len(wrong)} of {len(lines)} listed images are not in the data, or match several "
            f"images, for example {wrong[0]!r}; check data.root and the list"
        )
    return np.array(sorted(found))
