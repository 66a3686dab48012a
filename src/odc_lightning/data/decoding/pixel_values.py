"""Pixel values of more than 8 bits, and how a range of them becomes 256 grey levels."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[Any]  # (H, W) or (H, W, 3) of any integer or float type
Box = tuple[int, int, int, int]

_STRIP = 2**20  # pixels that are converted at once, which bounds the memory
_SAMPLE_FORMAT, _SIGNED = 339, 2  # TIFF's tag for the type of numbers, and one of its values
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
# Pillow keeps the upper byte of 16-bit colours. Its name for such pixels in the file -> the name
# by which it decodes the lower byte.
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_LOWER = {
    f"{bands};16{order}": f"{bands};16{swapped}"
    for bands in ("RGB", "RGBA", "RGBX")
    for order, swapped in _SWAPPED.items()
} | {"LA;16B": "RGBA"}  # both bytes of both channels


def describe_values(image: Image.Image) -> str | None:
    """The kind of pixel values that 8 bits cannot hold, by the file's header.

    Args:
        image: opened and not loaded; the bits of colours are unknown once it is loaded.

    Returns:
        None if the values are 0 to 255.
    """
    if image.mode == "F":
        return "floating-point values"
    if image.mode.startswith("I"):
        return "integers of 16 or 32 bits"
    if image.mode == "L" and _tag(image, _SAMPLE_FORMAT) == _SIGNED:
        return "signed integers"
    return "16 bits per colour" if has_deep_colours(image) else None


def has_deep_colours(image: Image.Image) -> bool:
    """Whether a file that is not loaded yet has 16 bits for each of several channels."""
    return _raw_mode(image) in _LOWER


def load_lower_bytes(image: Image.Image) -> Image.Image:
    """The lower bytes (RGB) of 16-bit colours, from a file that is not loaded yet."""
    raw_mode = _raw_mode(image)
    lower = _LOWER[raw_mode]
    file: Any = image
    file.tile = [_with_raw_mode(tile, lower) for tile in file.tile]
    file.load()
    if raw_mode == "LA;16B":
        return Image.merge("RGB", [file.getchannel("G")] * 3)
    return image


class DeepPixels(NamedTuple):
    """The pixels of a loaded image, strip by strip.

    Attributes:
        image: gray; or the upper bytes of colours.
        lower: the lower bytes of colours.
    """

    image: Image.Image
    lower: Image.Image | None = None

    def values(self, box: Box) -> Values:
        """The numbers of a part of the image."""
        upper = np.asarray(self.image.crop(box))
        if self.lower is not None:
            lower = np.asarray(self.lower.crop(box))[..., :3]
            return (upper[..., :3].astype(np.uint16) << 8) | lower
        if self.image.mode == "L":
            return upper.view(np.int8)
        if self.image.mode == "I" and upper.dtype == np.int32 and self._is_unsigned:
            return upper.view(np.uint32)
        return upper

    def extremes(self) -> tuple[float, float] | None:
        """The smallest and the largest finite value; None if there is none."""
        parts = [self.values(box) for box in strips(self.image)]
        parts = [part[np.isfinite(part)] for part in parts]
        ends = [(float(part.min()), float(part.max())) for part in parts if part.size]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None

    def part(self, box: Box, value_range: tuple[float, float]) -> Image.Image:
        """A part of the image with 8 bits per channel, and its transparency if it has some."""
        levels = grey_levels(self.values(box), value_range)
        # Pillow inverts such TIFF files of up to 8 bits, and no others.
        is_negative = _tag(self.image, _PHOTOMETRIC) == _WHITE_IS_ZERO
        part = Image.fromarray(255 - levels if is_negative else levels)
        if self.lower is not None and self.image.mode == "RGBA":
            part.putalpha(self.image.crop(box).getchannel("A"))
        return part

    @property
    def has_integers(self) -> bool:
        """Whether the values are integers."""
        return self.image.mode != "F"

    @property
    def _is_unsigned(self) -> bool:
        """Whether Pillow's signed integers are unsigned 32-bit integers in the file."""
        tags = _tag(self.image, _SAMPLE_FORMAT, default=1), _tag(self.image, _BITS_PER_SAMPLE)
        return tags == (1, 32)


def strips(image: Image.Image) -> Iterator[Box]:
    """Boxes that cover an image from top to bottom, of about a million pixels each."""
    rows = max(1, _STRIP // max(1, image.width))
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def grey_levels(values: Values, value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """256 equal steps from the low end of the range to the high end.

    Values below the range and NaN become black, values above it white. Of integers, the range
    0 to 2^b thus keeps the upper 8 of b bits.
    """
    if values.dtype == np.uint16:
        table: NDArray[np.uint8] = _table(value_range)[values]
        return table
    low, high = value_range
    levels = np.floor((values.astype(np.float64) - low) * 256 / (high - low))
    return np.clip(np.nan_to_num(levels, nan=0.0), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _table(value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """The grey level of every 16-bit integer."""
    return grey_levels(np.arange(2**16, dtype=np.uint32), value_range)


def rounded_range(low: float, high: float, integers: bool) -> tuple[float, float]:
    """A range for values from ``low`` to ``high`` that leaves room for values not seen.

    Both ends are 0 or powers of two, so that integers from 0 get their bit depth, at least 8 bits:
    values that fit 8 bits look the same as in an 8-bit file. If the values would then take less
    than an eighth of the range, both ends are multiples of a power of two instead.
    """
    above = high + 1 if integers else high  # the high end is not part of the range
    bottom, top = -_power_of_two(-low), _power_of_two(above)
    if integers and low >= 0:
        top = max(top, 256.0)
    span = high - low
    if 0 < 8 * span < top - bottom and not (integers and low >= 0 and high < 256):
        step = _power_of_two(span / 4)
        bottom, top = step * math.floor(low / step), step * (math.floor(high / step) + 1)
    return bottom, top if top > bottom else bottom + 1


def _power_of_two(value: float) -> float:
    """The smallest power of two that is not below a value; 0 for values that are not positive."""
    if value <= 0:
        return 0.0
    mantissa, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent - (mantissa == 0.5))


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name for the pixels in the file; empty if the image is loaded."""
    tiles = getattr(image, "tile", None) or [(None, None, None, "")]
    args = tiles[0][3]
    mode = args[0] if isinstance(args, tuple) and args else args
    return mode if isinstance(mode, str) else ""


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    args = raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:])
    # Older versions of Pillow have plain tuples here.
    return tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args)


def _tag(image: Image.Image, tag: int, default: int | None = None) -> Any:
    """The first value of a tag of a TIFF file."""
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return value[0] if isinstance(value, tuple) and value else value
