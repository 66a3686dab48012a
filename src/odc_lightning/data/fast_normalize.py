"""The usual last steps of an augmentation, from 8-bit pixels to normalised floats, made faster.

torchvision's three transforms make several copies of the image. Here there is one copy, made with
the same operations on each number, so the result is the same bit for bit.
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
    """

    def __init__(self, mean: Any, std: Any) -> None:
        # For gray images, and for tensors made by another transform.
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
    """The transform, with its last three steps replaced by `NormalizedPixels` if they allow it."""
    steps = list(transform.transforms) if isinstance(transform, v2.Compose) else []
    if [type(step) for step in steps[-3:]] != _TYPES:
        return transform
    *before, _, conversion, scaling = steps
    if conversion.dtype != torch.float32 or not conversion.scale or 0 in scaling.std:
        return transform
    ending = NormalizedPixels(scaling.mean, scaling.std)
    return v2.Compose([*before, ending])
