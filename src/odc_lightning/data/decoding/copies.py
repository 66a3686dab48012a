"""Smaller copies of images, which know the size of the full image."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

Size = tuple[int, int]  # width and height in pixels
SizeOfCopy = Callable[[int, int], Size]  # from the size of an image; the same size: no copy

_FULL_SIZE = "_full_size"  # attribute of a copy, which no metadata of a file can set


def as_copy(image: Image.Image, full: Size) -> Image.Image:
    """Mark an image as a copy of a larger one, unless they have the same size."""
    if image.size != full:
        setattr(image, _FULL_SIZE, full)
    return image


def full_size(image: Image.Image) -> Size:
    """The size of the image that this one is a copy of; its own size if it is no copy."""
    full: Size = getattr(image, _FULL_SIZE, image.size)
    return full
