"""Colorization as a pretext task (Zhang, Isola and Efros, ECCV 2016)."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.data.dataset import Transform
from odc_lightning.features.extraction import Split, evaluating
from odc_lightning.module import ODCModule
from odc_lightning.pretext.colour import gray_of_same_lightness, srgb_to_lab
from odc_lightning.pretext.colour_bins import (
    constant_loss,
    gamut_bins,
    mean_chroma,
    rebalancing_weights,
    soft_encode,
    weighted_target,
)
from odc_lightning.utils.distributed import from_rank_zero

# Colour frequencies are estimated from at most this many training images.
MAX_IMAGES, IMAGES_AT_ONCE = 1000, 100
# Images with a mean chroma below this are gray images with JPEG noise.
GRAY = 1.0


class Colorization(Pretext):
    """Show each image in gray; the network predicts the colour at each position of its map.

    The target colours are those of the image, averaged down to the size of the backbone's last map.
    Before training, rank 0 measures how frequent the colours are, on images spread evenly over the
    training split, and sends the result to all ranks. A resumed run keeps its first measurement.

    Attributes:
        weights: (Q,), the weight of each colour bin in the loss.
    """

    targets = "colours"
    weights: Tensor
    _measured = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Move the colour bins and the transforms' colour scales to the module's device.

        Raises:
            ValueError: if the number of outputs of the head is not the number of bins, the network
                is not dense, or a transform does not end in Normalize.
        """
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        module, self.bins = ODCModule.of(pl_module), gamut_bins()
        if not module.dense:
            raise ValueError(
                "model.dense=false: colorization predicts colours at each position of a map; set "
                "model.dense=true"
            )
        if module.num_clusters != len(self.bins):
            raise ValueError(
                f"the head has {module.num_clusters} outputs and there are {len(self.bins)} "
                f"colours; set algorithm.num_clusters={len(self.bins)}"
            )
        device, data = trainer.strategy.root_device, trainer.datamodule  # type: ignore[attr-defined]
        self.bins = self.bins.to(device)
        self._scales: dict[Split, tuple[Tensor, Tensor]] = {
            "train": colour_scale(data.train_transform, "train_transform", device),
            "val": colour_scale(data.eval_transform, "eval_transform", device),
        }
        self._measured = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the colour frequencies, unless a checkpoint has them.

        Raises:
            ValueError: if the images are gray.
        """
        device = trainer.strategy.root_device
        dataset = trainer.datamodule.train_dataset  # type: ignore[attr-defined]
        image = trainer.precision_plugin.convert_input(dataset[0]["image"].to(device))
        self._size = map_size(ODCModule.of(pl_module), image)
        if not self._measured:
            weights, self.chance = from_rank_zero(lambda: self._measure(dataset))
            self.weights, self._measured = torch.tensor(weights), True
        self.weights = self.weights.to(device)

    def pose(
        self, images: Tensor, indices: Tensor, split: Split, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Return gray images (B, 3, H, W), normalised as the input, and targets (B, Q, h, w)."""
        mean, std = self._scales[split]
        colours = (images.float() * std + mean).clamp(0, 1)
        target = weighted_target(self._reduced(colours), self.bins, self.weights)
        gray = (gray_of_same_lightness(colours) - mean) / std
        return gray.to(images.dtype), target

    def state_dict(self) -> dict[str, Any]:
        """Return the colour weights and the chance loss; empty before they are measured."""
        return {"weights": self.weights, "chance": self.chance} if self._measured else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the colour weights and the chance loss."""
        if state_dict:
            self.weights, self.chance = state_dict["weights"], state_dict["chance"]
            self._measured = True

    def _reduced(self, colours: Tensor) -> Tensor:
        """Return channels a and b (B, 2, h, w), averaged down to the size of the map."""
        return F.adaptive_avg_pool2d(srgb_to_lab(colours)[:, 1:], self._size)

    def _measure(self, dataset: Any) -> tuple[list[float], float]:
        """Measure the weights (Q,) and the chance loss on a sample of the training images."""
        mean, std = self._scales["train"]
        chosen = np.linspace(0, len(dataset) - 1, min(len(dataset), MAX_IMAGES)).astype(int)
        reduced, chroma = [], []
        for some in np.array_split(chosen, -(-len(chosen) // IMAGES_AT_ONCE)):
            images = torch.stack([dataset[int(index)]["image"] for index in some]).to(mean.device)
            colours = (images * std + mean).clamp(0, 1)
            reduced.append(self._reduced(colours))
            chroma.append(mean_chroma(colours))
        if np.mean(chroma) < GRAY:
            raise ValueError(
                f"the training images are gray: colours of {len(chosen):,} of them are "
                f"{np.mean(chroma):.2f} away from gray on average (chroma in Lab), expected "
                f"{GRAY:.0f} or more; colorization needs coloured images, and an augmentation that "
                "keeps the colours"
            )
        ab = torch.cat(reduced)
        counts = torch.bincount(soft_encode(ab, self.bins)[1].flatten(), minlength=len(self.bins))
        weights = rebalancing_weights(counts, self.bins)
        chance = constant_loss(weighted_target(ab, self.bins, weights))
        return weights.tolist(), chance


def colour_scale(transform: Transform, name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, each (3, 1, 1), of a transform's last step.

    Raises:
        ValueError: if the last step is not a Normalize, or there is another Normalize.
    """
    steps = list(getattr(transform, "transforms", [transform]))
    scaling = [step for step in steps if isinstance(step, v2.Normalize)]
    if len(scaling) != 1 or steps[-1] is not scaling[0]:
        names = ", ".join(type(step).__name__ for step in steps)
        raise ValueError(
            f"data.{name} has the steps {names}; colorization needs torchvision's v2.Normalize as "
            "the last step, and no other Normalize, to recover the colours"
        )
    mean, std = (
        torch.tensor(values, device=device, dtype=torch.float32).view(3, 1, 1)
        for values in (scaling[0].mean, scaling[0].std)
    )
    return mean, std


def map_size(module: ODCModule, image: Tensor) -> tuple[int, int]:
    """Return height and width of the backbone's last map for an image (3, H, W)."""
    with evaluating(module):
        height, width = module.backbone.maps(image.unsqueeze(0)).shape[-2:]
    return height, width
