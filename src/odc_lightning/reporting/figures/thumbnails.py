"""Thumbnails: a square picture of an image, or a placeholder if it cannot be loaded."""

from typing import NamedTuple

from PIL import Image, ImageDraw, ImageOps

from odc_lightning.data import ImageSource
from odc_lightning.data.views_of_copies import EnoughFor
from odc_lightning.utils.text import first_line


class Problem(NamedTuple):
    """An image that cannot be shown, and why."""

    number: int
    reason: str


class Thumbnail(NamedTuple):
    """A square picture; ``problem`` is the reason if it is a placeholder."""

    picture: Image.Image
    problem: Problem | None = None


def thumbnail(source: ImageSource, index: int, side: int) -> Thumbnail:
    """The middle square of an image, or a crossed square if it cannot be loaded.

    Args:
        source: of the image.
        index: of the image.
        side: of the square in pixels.
    """
    try:
        image = source.in_copies(EnoughFor(shorter_side=side)).load(index)
        return Thumbnail(ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS))
    except Exception as error:  # decoders raise anything
        return Thumbnail(placeholder(side), Problem(index, first_line(error)))


def placeholder(side: int) -> Image.Image:
    """A grey square, crossed out."""
    picture = Image.new("RGB", (side, side), (196, 192, 186))
    draw = ImageDraw.Draw(picture)
    low, high = side // 3, side - 1 - side // 3
    for line in ((low, low, high, high), (low, high, high, low)):
        draw.line(line, fill=(120, 114, 106), width=max(1, side // 24))
    return picture
