"""The end of nearly every augmentation, from 8-bit pixels to normalised numbers, in less time.

torchvision's three transforms copy the image, make a second and a third of it, and look at it once
more. Here one is made, by the same operations on each number, so it is the same to the bit.
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
    """From an image to what PILToTensor, ToDtype(float32, scale=True) and Normalize give.

    Args:
        mean, std: of each channel, in numbers from 0 to 1.
    """

    def __init__(self, mean: Any, std: Any) -> None:
        # For gray images, and tensors that another transform has made.
        to_numbers = v2.ToDtype(torch.float32, scale=True)
        self.slow = v2.Compose([v2.PILToTensor(), to_numbers, v2.Normalize(mean, std)])
        self.mean, self.std = (
            torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (mean, std)
        )

    def __call__(self, image: Image.Image) -> Tensor:
        """The image as float32 (3, H, W)."""
        if not isinstance(image, Image.Image) or image.mode != "RGB":
            return self.slow(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        numbers = pixels.to(torch.float32, memory_format=torch.contiguous_format)
        return numbers.mul_(1 / 255).sub_(self.mean).div_(self.std)


def with_quick_ending(transform: Any) -> Any:
    """The same, with `NormalizedPixels` for the last three transforms where that can be."""
    steps = list(transform.transforms) if isinstance(transform, v2.Compose) else []
    if [type(step) for step in steps[-3:]] != _TYPES:
        return transform
    *before, _, conversion, scaling = steps
    if conversion.dtype != torch.float32 or not conversion.scale or 0 in scaling.std:
        return transform
    ending = NormalizedPixels(scaling.mean, scaling.std)
    return v2.Compose([*before, ending])
