"""Views of smaller copies of images: which size is enough, and how to draw the same views.

A photograph of twelve megapixels has 240 times the pixels of a view of 224 x 224. Where a transform
begins by cropping or resizing, a smaller copy gives the same view, up to the rounding of the copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from odc_lightning.data.decoding.copies import Size, full_size
from odc_lightning.data.transforms import RESAMPLING

# A copy has at most half of the pixels; a larger one would save little.
LARGEST_COPY = 0.5
# Sides of a copy against what is needed: with 1.25 a view differs by 1 % of its contrast on average
# from that of the full image, with 1 by up to 4 %.
MARGIN = 1.25


class EnoughFor:
    """The size of a copy that is enough for some transforms.

    No crop of the copy is enlarged unless that of the image is. A transform that does not begin
    with a crop or a new size needs the whole image.

    Args:
        transforms: functions of a PIL image.
        shorter_side: of the copy, at least, in pixels.
    """

    def __init__(self, *transforms: Callable[[Image.Image], Any], shorter_side: int = 0) -> None:
        self.steps = [first_step(transform) for transform in transforms]
        self.shorter_side = shorter_side

    def __call__(self, width: int, height: int) -> Size:
        """The size of the copy of an image; the image's own size if a copy would save little."""
        scales = [MARGIN * needed_scale(step, width, height) for step in self.steps]
        scale = max([*scales, self.shorter_side / min(width, height)])
        if scale**2 > LARGEST_COPY:
            return width, height
        return math.ceil(width * scale), math.ceil(height * scale)


def needed_scale(step: Any, width: int, height: int) -> float:
    """The factor by which an image may be reduced before a transform with this first step.

    Returns:
        The factor of its sides; 1 for a step that is neither a random crop nor a new size.
    """
    shorter = min(width, height)
    if _is_crop(step):
        # The smallest crop has the least share of the area and the most extreme sides.
        ratio = min(step.ratio[0], 1 / step.ratio[1])
        return max(step.size) / min(math.sqrt(step.scale[0] * width * height * ratio), shorter)
    if _is_resize(step):
        new = resized(step, (width, height))
        return max(new[0] / width, new[1] / height)
    return 1.0


def resized(step: v2.Resize, size: Size) -> Size:
    """The size that a `Resize` gives to an image of some size."""
    width, height = size
    if len(step.size) == 2:
        return step.size[1], step.size[0]
    shorter = step.size[0]
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


class FirstStepOnCopies(nn.Module):
    """A `RandomResizedCrop` or `Resize` that takes from a copy what it would from the full image.

    It draws the same random numbers and gives the same size.

    Args:
        step: the transform, which images that are no copies pass through.
    """

    def __init__(self, step: v2.RandomResizedCrop | v2.Resize) -> None:
        super().__init__()
        self.step = step
        self.resample = _resampling(step)

    def forward(self, image: Any) -> Any:
        """The view of an image or of a copy."""
        full = full_size(image) if isinstance(image, Image.Image) else None
        if full is None or full == image.size:
            return self.step(image)
        if isinstance(self.step, v2.Resize):
            return image.resize(resized(self.step, full), self.resample)
        crop = self.step.make_params([torch.empty((1, full[1], full[0]), device="meta")])
        across, down = image.width / full[0], image.height / full[1]
        left, top = crop["left"] * across, crop["top"] * down
        box = (left, top, left + crop["width"] * across, top + crop["height"] * down)
        return image.resize(self.step.size[::-1], self.resample, box=box)


def on_copies(transform: Any) -> Any:
    """The transform, with a first step that also knows copies."""
    if _is_crop(transform) or _is_resize(transform):
        return FirstStepOnCopies(transform)
    if type(transform) is not v2.Compose:
        return transform
    first, *others = transform.transforms
    return v2.Compose([on_copies(first), *others])


def first_step(transform: Any) -> Any:
    """The first step of a transform, which may be composed of others."""
    while type(transform) is v2.Compose:
        transform = transform.transforms[0]
    return transform


def _is_crop(step: Any) -> bool:
    return type(step) is v2.RandomResizedCrop and _resampling(step) is not None


def _is_resize(step: Any) -> bool:
    has_size = type(step) is v2.Resize and step.size is not None and step.max_size is None
    return has_size and _resampling(step) is not None


def _resampling(step: Any) -> int | None:
    """Pillow's number of a transform's filter; None if Pillow has no such filter."""
    chosen = step.interpolation
    if isinstance(chosen, v2.InterpolationMode | str):
        return RESAMPLING.get(v2.InterpolationMode(chosen).value)
    return int(chosen)
