"""Smaller copies of images, which know the size of the full image."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

Size = tuple[int, int]  # width and height in pixels
SizeOfCopy = Callable[[int, int], Size]  # from the size of an image; the same size: no copy

_FULL_SIZE = "full_size"  # key of `Image.info`


def copy_of(image: Image.Image, size: Size, full: Size) -> Image.Image:
    """A copy of an image in a smaller size.

    Args:
        image: RGB; it may have been decoded at a half, a quarter or an eighth of the full size.
        size: of the copy.
        full: of the full image.
    """
    copy = image.resize(size, Image.Resampling.LANCZOS)
    copy.info = {_FULL_SIZE: full}
    return copy


def as_copy(image: Image.Image, full: Size) -> Image.Image:
    """Mark an image as a copy of a larger one, unless they have the same size."""
    if image.size != full:
        image.info[_FULL_SIZE] = full
    return image


def full_size(image: Image.Image) -> Size:
    """The size of the image that this one is a copy of; its own size if it is no copy."""
    full: Size = image.info.get(_FULL_SIZE, image.size)
    return full
