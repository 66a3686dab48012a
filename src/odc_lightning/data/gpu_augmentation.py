"""An augmentation's later transforms, done to a batch on its device with the numbers of `drawing`.

kornia computes, by those of its functions that are equal to torchvision's. Its classes are not
used: the order of colours is the same for a whole batch there, brightness is added rather than
multiplied (ColorJiggle), and erasing draws the ratio of sides from another distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from odc_lightning.data.augmentation_draws import DRAWN, Numbers, count, leaves
from odc_lightning.utils.arrays import IntArray

Function = Callable[[Tensor, Tensor], Tensor]

try:
    from kornia.color import rgb_to_grayscale
    from kornia.enhance import (
        adjust_brightness_accumulative,
        adjust_contrast_with_mean_subtraction,
        adjust_hue,
        adjust_saturation_with_gray_subtraction,
    )
    from kornia.filters import gaussian_blur2d
    from kornia.geometry.transform import hflip, rotate, vflip
except ImportError:  # an extra; `BatchedAugmentation` says so
    HAS_KORNIA = False
else:
    HAS_KORNIA = True


class BatchedAugmentation:
    """Does to each image of a batch what was drawn for it.

    In float32 from beginning to end, so what torchvision rounds to 8 bits after each transform is
    not rounded here.

    Args:
        transforms: the later ones of `drawing.split`.

    Raises:
        ValueError: kornia is not installed.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        if not HAS_KORNIA:
            raise ValueError(
                "data.augment_on=gpu needs kornia, which is not installed; "
                "run: pip install 'odc-lightning[kornia]', or set data.augment_on=cpu"
            )
        self.transforms = leaves(transforms)
        self.count = count(transforms)

    def __call__(self, images: Tensor, drawn: Numbers) -> Tensor:
        """The views (b, 3, H, W) in float32.

        Args:
            images: (b, 3, H, W) uint8.
            drawn: (b, `count`) on the CPU, what `draw` gave for each image.
        """
        images = images.float().mul_(1 / 255)  # as torchvision does
        unit = 255.0  # of the colours that a transform was given
        column = 0
        for transform in self.transforms:
            width = DRAWN[type(transform)].width
            numbers = drawn[:, column : column + width]
            column += width
            if isinstance(transform, v2.ToDtype):
                unit = 1.0
            elif isinstance(transform, v2.ColorJitter):
                images = jitter(images, numbers)
            elif isinstance(transform, v2.Normalize):
                images = v2.functional.normalize(images, transform.mean, transform.std)
            elif width > 0:
                done = np.flatnonzero(~np.isnan(numbers[:, 0]))
                images = on_rows(images, done, numbers, _function(transform, unit))
        return images


def on_rows(images: Tensor, rows: IntArray, numbers: Numbers, function: Function) -> Tensor:
    """Replace some images (b, 3, H, W) by what `function` makes of them and their numbers (b, ...).

    The choice is made on the CPU and nothing is copied back, so the CPU waits for no GPU.
    """
    if len(rows) == 0:
        return images
    theirs = _on(images.device, numbers[rows])
    if len(rows) == len(images):
        return function(images, theirs)
    where = _on(images.device, rows)
    return images.index_copy(0, where, function(images.index_select(0, where), theirs))


def jitter(images: Tensor, numbers: Numbers) -> Tensor:
    """Brightness, contrast, saturation and hue of each image in its own order.

    Args:
        images: (b, 3, H, W) from 0 to 1.
        numbers: (b, 8); which of the four is first, second, third and fourth, and the factor of
            each, NaN where it is not changed.
    """
    functions: list[Function] = [
        adjust_brightness_accumulative,
        adjust_contrast_with_mean_subtraction,
        adjust_saturation_with_gray_subtraction,
        lambda some, turns: adjust_hue(some, turns * 2 * math.pi),
    ]
    order, factors = numbers[:, :4], numbers[:, 4:]
    for turn in range(4):
        for which, function in enumerate(functions):
            rows = np.flatnonzero((order[:, turn] == which) & ~np.isnan(factors[:, which]))
            images = on_rows(images, rows, factors[:, which], function)
    return images


def erase(images: Tensor, rectangles: Tensor, value: Tensor) -> Tensor:
    """Lay a rectangle of colour `value` (1 or 3, 1, 1) on each image.

    Args:
        images: (b, 3, H, W).
        rectangles: (b, 4), top, left, height and width in pixels.
    """
    top, left, height, width = (side.view(-1, 1, 1, 1) for side in rectangles.unbind(dim=1))
    y = torch.arange(images.shape[-2], device=images.device).view(-1, 1)
    x = torch.arange(images.shape[-1], device=images.device)
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    return torch.where(inside, value, images)


def _function(transform: Any, unit: float) -> Function:
    """What is done to images (b, 3, H, W) with the numbers (b, count) that were drawn for them."""
    if isinstance(transform, v2.RandomHorizontalFlip):
        return lambda images, _: hflip(images)
    if isinstance(transform, v2.RandomVerticalFlip):
        return lambda images, _: vflip(images)
    if isinstance(transform, v2.RandomGrayscale):
        return lambda images, _: rgb_to_grayscale(images).repeat(1, 3, 1, 1)
    if isinstance(transform, v2.GaussianBlur):
        width, height = transform.kernel_size
        return lambda images, sigma: gaussian_blur2d(images, (height, width), sigma.flip(1))
    if isinstance(transform, v2.RandomErasing):
        return lambda images, rectangles: erase(
            images, rectangles, _colour(transform.value, unit, images.device)
        )
    mode = v2.InterpolationMode(transform.interpolation).value

    def rotated(images: Tensor, angles: Tensor) -> Tensor:
        fill = _colour(transform.fill or 0, unit, images.device)  # kornia fills with zeros
        return rotate(images - fill, angles[:, 0], mode=mode) + fill

    return rotated


def _colour(given: Any, unit: float, device: torch.device) -> Tensor:
    values = given if isinstance(given, Sequence) else [given]
    return _on(device, np.asarray(values, np.float32) / np.float32(unit)).view(-1, 1, 1)


def _on(device: torch.device, array: Any) -> Tensor:
    """Without waiting, which a copy from memory that is not pinned would."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
