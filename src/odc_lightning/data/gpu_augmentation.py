"""The later transforms of an augmentation, applied to a batch on its device.

`augmentation_draws` has drawn their parameters. kornia's functions that equal torchvision's do the
computing. kornia's classes are not used: they order the colour changes once for a whole batch,
add brightness instead of multiplying it (ColorJiggle), and draw the aspect ratio for erasing from
another distribution.
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
from odc_lightning.data.transforms import Lighting
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
    """Applies to each image of a batch the transforms that were drawn for it.

    Everything is float32: torchvision rounds to 8 bits after each transform, this class does not.

    Args:
        transforms: the `later` ones of `augmentation_draws.split`.

    Raises:
        ValueError: if kornia is not installed.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        if not HAS_KORNIA:
            raise ValueError(
                "data.augment_on=gpu needs kornia, which is not installed; "
                "run: pip install 'odc-lightning[kornia]', or set data.augment_on=cpu"
            )
        self.transforms = leaves(transforms)
        self.count = count(transforms)

    def of_batch(self, images: Tensor, drawn: Sequence[str]) -> Tensor:
        """The views of a batch, in float32 and of the same shape.

        Args:
            images: (B, 3, H, W) or (B, V, 3, H, W), uint8.
            drawn: for each image, the numbers that `DrawnDataset` packed into a text.
        """
        views = images.view(-1, *images.shape[-3:])
        numbers = np.frombuffer("".join(drawn).encode("latin-1"), np.float32)
        return self(views, numbers.reshape(len(views), self.count)).view(images.shape)

    def __call__(self, images: Tensor, drawn: Numbers) -> Tensor:
        """The views (b, 3, H, W) in float32.

        Args:
            images: (b, 3, H, W) uint8.
            drawn: (b, `count`) on the CPU, the result of `draw` for each image.
        """
        images = images.float().mul_(1 / 255)  # as torchvision does
        unit = 255.0  # the colour value of white in a transform's arguments
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
    """Apply `function` to the images (b, 3, H, W) at `rows`, with their `numbers` (b, ...).

    The rows are chosen on the CPU and nothing is copied back, so the CPU never waits for the GPU.
    """
    if len(rows) == 0:
        return images
    selected = _on(images.device, numbers[rows])
    if len(rows) == len(images):
        return function(images, selected)
    where = _on(images.device, rows)
    return images.index_copy(0, where, function(images.index_select(0, where), selected))


def jitter(images: Tensor, numbers: Numbers) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a separate order for each image.

    Args:
        images: (b, 3, H, W) from 0 to 1.
        numbers: (b, 8); the order of the four changes, then the factor of each, NaN where it is
            not applied.
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
    """Fill a rectangle of each image with the colour `value` (1 or 3, 1, 1).

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
    """The function that applies a transform to images (b, 3, H, W) with their numbers (b, ...)."""
    if isinstance(transform, v2.RandomHorizontalFlip):
        return lambda images, _: hflip(images)
    if isinstance(transform, v2.RandomVerticalFlip):
        return lambda images, _: vflip(images)
    if isinstance(transform, Lighting):
        return lambda images, colours: images + colours.view(-1, 3, 1, 1)
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
    """The array on the device; memory is pinned first, so that the copy does not block."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
