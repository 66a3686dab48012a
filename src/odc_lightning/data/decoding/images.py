"""From an image file of any kind to an upright 8-bit RGB image."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from PIL import Image, UnidentifiedImageError

from odc_lightning.data.decoding.copies import Size, SizeOfCopy, as_copy
from odc_lightning.data.decoding.orientation import (
    keep_orientation_alone,
    orientation,
    upright,
    upright_size,
)
from odc_lightning.data.decoding.pixel_values import (
    DeepPixels,
    describe_values,
    has_deep_colours,
    load_lower_bytes,
    rounded_range,
    strips,
)
from odc_lightning.data.decoding.png_files import open_leniently
from odc_lightning.data.files.formats import advice_on

SIXTEEN_BITS: Final = "16bit"
MAX_PIXELS = 120_000_000  # about 1 GB in memory; most telephones and cameras stay below
# Sides of what a JPEG decoder gives against those of the copy that is made of it. The decoder's own
# reduction is coarse: with 1.0 views can differ 1.6 times as much from those of the full image.
DRAFT = 1.4
_LARGE = 2**25  # of images with more pixels, a process decodes one at a time
_one_large = threading.Lock()


class Reading(NamedTuple):
    """How image files are read.

    Attributes:
        value_range: the values [low, high] that become black and white in images of more than
            8 bits; ``"16bit"``: 0 and 65536, for integers alone; None: such images are refused.
        max_pixels: larger images are refused.
        size_of_copy: the size of the copy that `read_rgb` makes of an image; None: there are no
            copies.
    """

    value_range: tuple[float, float] | Literal["16bit"] | None = SIXTEEN_BITS
    max_pixels: int = MAX_PIXELS
    size_of_copy: SizeOfCopy | None = None


def reading_of(data: Mapping[str, Any]) -> Reading:
    """How a config of data reads image files; without the keys, as runs did that lack them.

    Raises:
        ValueError: a value is not allowed.
    """
    value_range = data.get("value_range", SIXTEEN_BITS)
    max_pixels = data.get("max_pixels", MAX_PIXELS)
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise ValueError(f"data.max_pixels={max_pixels}; expected an integer, 1 or more")
    if value_range is None or value_range == SIXTEEN_BITS:
        return Reading(value_range, max_pixels)
    given = [] if isinstance(value_range, str | int | float) else list(value_range)
    ends = [float(end) for end in given if type(end) in (int, float) and math.isfinite(end)]
    if len(given) != 2 or len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(
            f"data.value_range={value_range}; expected {SIXTEEN_BITS}, null, or [low, high]: the "
            "values that become black and white in images of more than 8 bits"
        )
    return Reading((ends[0], ends[1]), max_pixels)


@contextmanager
def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open a file and read its header.

    Raises:
        ValueError: the image has more than ``max_pixels`` pixels, or Pillow does not know the
            format. Pillow raises errors of many types.
    """
    # Pillow's limit holds for the whole process, so it is raised only if it is in the way.
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        with open_leniently(path) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(_too_large(image.width * image.height, max_pixels))
            keep_orientation_alone(image)
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(_unknown_format(path)) from error
    except Image.DecompressionBombError as error:
        number = re.search(r"\((\d+) pixels\)", str(error))
        pixels = int(number[1]) if number else 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)
        raise ValueError(_too_large(pixels, max_pixels)) from error


def check_values(image: Image.Image, reading: Reading) -> None:
    """Check by the header that the range of an image's values is known.

    Raises:
        ValueError: it is not.
    """
    kind = describe_values(image)
    if kind is None or isinstance(reading.value_range, tuple):
        return
    if reading.value_range is None or image.mode == "F":
        raise ValueError(
            f"{kind}, and data.value_range does not say which are black and white; set "
            "data.value_range=[low,high], for example [0,1], or [0,4096] for 12 bits"
        )


def read_rgb(path: Path, reading: Reading | None = None) -> Image.Image:
    """Decode a file, as an upright 8-bit RGB image or a smaller copy of it.

    A JPEG file of which a copy is made is decoded at a half, a quarter or an eighth of its size
    where that is enough, which takes a fraction of the time.

    Args:
        path: of the image.
        reading: the settings of its data set; None reads an image by its own range of values.

    Raises:
        ValueError: the image is too large, or the range of its values is unknown. Pillow raises
            errors of many types.
    """
    if reading is None:
        values = measure_values(path)
        reading = Reading(SIXTEEN_BITS if values is None else rounded_range(*values))
    with open_image(path, reading.max_pixels) as image:
        check_values(image, reading)
        stored, box = image.size, None
        if reading.size_of_copy is not None:
            size = _as_stored(reading.size_of_copy(*upright_size(image)), image)
            if size != stored:
                least = (round(DRAFT * size[0]), round(DRAFT * size[1]))
                drafted = image.draft(None, least)  # of JPEG files alone
                box = None if drafted is None else drafted[1]
        with _turn(image):
            lower = None
            if isinstance(reading.value_range, tuple) and has_deep_colours(image):
                lower = _lower_bytes(path, reading.max_pixels)
            rgb = _as_rgb(image, reading, lower)
        if reading.size_of_copy is None:
            return upright(rgb, image)
        # Orientations at the end of a PNG file are known by now.
        full = _as_stored(stored if box is not None else rgb.size, image)
        size = reading.size_of_copy(*full)
        if size == full:
            return upright(rgb, image)
        # The last blocks of a JPEG file reach beyond the image, also if they are decoded smaller.
        copy = rgb.resize(_as_stored(size, image), Image.Resampling.LANCZOS, box)
        return as_copy(upright(copy, image), full)


def read_size(path: Path, max_pixels: int = MAX_PIXELS) -> Size:
    """Width and height of the upright image, from the header of its file.

    Raises:
        ValueError: see `open_image`.
    """
    with open_image(path, max_pixels) as image:
        return upright_size(image)


def to_rgb(image: Image.Image, reading: Reading, lower: Image.Image | None = None) -> Image.Image:
    """The upright 8-bit RGB version of an image; the image itself if there is nothing to do.

    The orientation in the metadata is applied. Transparent images are composited onto white.
    Values of more than 8 bits become grey levels, see `grey_levels`. An animation gives its first
    frame.

    Args:
        image: opened by Pillow; it is loaded.
        reading: the settings of its data set.
        lower: the lower bytes of 16-bit colours, of which Pillow loads the upper bytes.

    Raises:
        ValueError: the range of its values is unknown.
    """
    return upright(_as_rgb(image, reading, lower), image)


def _as_rgb(image: Image.Image, reading: Reading, lower: Image.Image | None) -> Image.Image:
    """`to_rgb` without the orientation."""
    image.load()
    check_values(image, reading)
    value_range, part = reading.value_range, image.crop
    if value_range == SIXTEEN_BITS:
        value_range = (0, 2**16) if image.mode.startswith("I") else None
    boxes = list(strips(image))  # a few bytes per pixel, however many steps there are
    if isinstance(value_range, tuple) and (lower is not None or describe_values(image)):
        part = partial(DeepPixels(image, lower).part, value_range=value_range)
    elif len(boxes) == 1 or (image.mode == "RGB" and not image.has_transparency_data):
        return _on_white(image)
    rgb = Image.new("RGB", image.size)
    for box in boxes:
        rgb.paste(_on_white(part(box)), box)
    return rgb


def _as_stored(size: Size, image: Image.Image) -> Size:
    """A size of the upright image as that of the stored one, or the other way round."""
    turned = not hasattr(image, "tag_v2") and orientation(image) >= 5  # Pillow turns TIFF files
    return size[::-1] if turned else size


def measure_values(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[float, float, bool] | None:
    """The smallest and the largest value of an image of more than 8 bits.

    Returns:
        Both, and whether the values are integers; None for an image of 8 bits, or without values.

    Raises:
        ValueError: see `open_image`.
    """
    with open_image(path, max_pixels) as image, _turn(image):
        if describe_values(image) is None:
            return None
        lower = _lower_bytes(path, max_pixels) if has_deep_colours(image) else None
        image.load()
        pixels = DeepPixels(image, lower)
        ends = pixels.extremes()
        return None if ends is None else (*ends, pixels.has_integers)


def _lower_bytes(path: Path, max_pixels: int) -> Image.Image:
    with open_image(path, max_pixels) as image:
        return load_lower_bytes(image)


def _turn(image: Image.Image) -> AbstractContextManager[Any]:
    """Wait for the other threads of this process if the image is large."""
    return _one_large if image.width * image.height > _LARGE else nullcontext()


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _too_large(pixels: int, max_pixels: int) -> str:
    return (
        f"{pixels:,} pixels, more than data.max_pixels={max_pixels}; set data.max_pixels={pixels} "
        "or more if it is not a decompression bomb"
    )


def _unknown_format(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:] == b"DICM":
        return "a DICOM file, which Pillow cannot read; convert it to PNG or TIFF with 16 bits"
    if advice := advice_on(path):  # raw photographs start like a TIFF file
        return f"not an image that Pillow can read ({advice})"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return (
            "a TIFF file that is damaged or of a kind that Pillow cannot read; save it with 8 or "
            "16 bits per channel, or with 32-bit numbers in one channel"
        )
    return "not an image that Pillow can read"
