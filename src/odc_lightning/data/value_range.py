"""One range of values for all images of more than 8 bits, measured on some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from odc_lightning.data.decoding.images import measure_values, open_image
from odc_lightning.data.decoding.pixel_values import describe_values, rounded_range
from odc_lightning.data.sources import ImageSource

# Formats whose images have 8 bits in Pillow: their files are not opened.
_EIGHT_BITS = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".webp", ".avif", ".bmp"}
_MAX_HEADERS = 1024
_MAX_MEASURED = 64
T = TypeVar("T")


class MeasuredRange(NamedTuple):
    """The range of a data set's images of more than 8 bits.

    Attributes:
        ends: the values that become black and white, see `rounded_range`.
        low, high: the smallest and the largest value that was found.
        num_measured: number of images that were decoded.
    """

    ends: tuple[float, float]
    low: float
    high: float
    num_measured: int


def measure_range(source: ImageSource, max_pixels: int) -> MeasuredRange | None:
    """Measure evenly spread images; None if no image has more than 8 bits.

    Images that cannot be read are skipped here; the data module reports them.

    Args:
        source: the images of the data set.
        max_pixels: larger images are skipped.
    """

    def is_deep(index: int) -> bool:
        path = source.path(index)
        assert path is not None
        with open_image(path, max_pixels) as image:
            return describe_values(image) is not None

    def values(index: int) -> tuple[float, float, bool] | None:
        path = source.path(index)
        assert path is not None
        return measure_values(path, max_pixels)

    paths = ((index, source.path(index)) for index in range(len(source)))
    files = [i for i, path in paths if path and path.suffix.lower() not in _EIGHT_BITS]
    headers = _spread(files, _MAX_HEADERS)
    deep = [index for index in headers if _unless_unreadable(is_deep, index)]
    found = [
        measured
        for index in _spread(deep, _MAX_MEASURED)
        if (measured := _unless_unreadable(values, index)) is not None
    ]
    if not found:
        return None
    low, high = min(each[0] for each in found), max(each[1] for each in found)
    integers = all(each[2] for each in found)
    return MeasuredRange(rounded_range(low, high, integers), low, high, len(found))


def _spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many items, evenly spread."""
    if not items:
        return []
    rows = np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)
    return [items[row] for row in rows]


def _unless_unreadable(read: Callable[[int], T], index: int) -> T | None:
    try:
        return read(index)
    except Exception:  # Pillow's decoders raise anything from OSError to struct.error
        return None
