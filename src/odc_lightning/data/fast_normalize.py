"""The usual last steps of an augmentation, from 8-bit pixels to normalised floats, made faster.

torchvision's three transforms make several copies of the image. Here there is one copy, made with
the same operations on each number, so the result is the same bit for bit. For a GPU the dataloader
workers send pixels, a quarter of the bytes, and whole batches are normalised there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

_TYPES = [v2.PILToTensor, v2.ToDtype, v2.Normalize]


class NormalizedPixels:
    """PILToTensor, ToDtype(float32, scale=True) and Normalize in one step.

    Args:
        mean, std: one number per channel, for pixels from 0 to 1.
        later: give the pixels of an image, which `normalize` makes numbers later.
    """

    def __init__(self, mean: Any, std: Any, later: bool = False) -> None:
        # For gray images, and for tensors made by another transform.
        to_numbers = v2.ToDtype(torch.float32, scale=True)
        self.slow = v2.Compose([v2.PILToTensor(), to_numbers, v2.Normalize(mean, std)])
        self.mean, self.std = (
            torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (mean, std)
        )
        self.later = later

    def __call__(self, image: Image.Image) -> Tensor:
        """The image as float32 (3, H, W); as uint8 with ``later``, except for tensors."""
        if not isinstance(image, Image.Image) or not (self.later or image.mode == "RGB"):
            return self.slow(image)
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        return pixels.contiguous() if self.later else self.normalize(pixels)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Pixels (..., 3, H, W) uint8 as normalised float32, on their device."""
        numbers = pixels.to(torch.float32, memory_format=torch.contiguous_format)
        # They stay there: the host would wait for a copy in every batch.
        self.mean, self.std = self.mean.to(pixels.device), self.std.to(pixels.device)
        return numbers.mul_(1 / 255).sub_(self.mean).div_(self.std)


def with_quick_ending(transform: Any, later: bool = False) -> Any:
    """The transform, with its last three steps replaced by `NormalizedPixels` if they allow it."""
    steps = list(transform.transforms) if isinstance(transform, v2.Compose) else []
    if [type(step) for step in steps[-3:]] != _TYPES:
        return transform
    *before, _, conversion, scaling = steps
    if conversion.dtype != torch.float32 or not conversion.scale or 0 in scaling.std:
        return transform
    return v2.Compose([*before, NormalizedPixels(scaling.mean, scaling.std, later)])


def shared_ending(*transforms: Any) -> NormalizedPixels | None:
    """The `NormalizedPixels` in which all these transforms end; None if they end differently."""
    found = []
    for quick in map(with_quick_ending, transforms):
        ending = quick.transforms[-1] if isinstance(quick, v2.Compose) else None
        if not isinstance(ending, NormalizedPixels):
            return None
        found.append(ending)
    first, *others = found
    same = all(
        torch.equal(first.mean, ending.mean) and torch.equal(first.std, ending.std)
        for ending in others
    )
    return first if same else None
