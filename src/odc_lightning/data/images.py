"""From an image file of any kind to an 8-bit RGB image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def to_rgb(image: Image.Image) -> Image.Image:
    """The upright 8-bit RGB version of `image`, which may be changed in place.

    The EXIF orientation is applied. Transparent images are composited onto white. 16-bit gray keeps
    its upper eight bits (Pillow's conversion clips at 255). An animation gives its first frame.

    Raises:
        ValueError: for floating-point images, which have no agreed range of brightness.
    """
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F":
        raise ValueError(
            "floating-point images have no agreed range of brightness; save it with 8 or 16 bits"
        )
    if image.mode.startswith("I"):
        gray = np.clip(np.asarray(image), 0, 65535) >> 8
        image = Image.fromarray(gray.astype(np.uint8))
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def read_rgb(path: Path) -> Image.Image:
    """Decode the whole file; Pillow raises errors of many types."""
    with Image.open(path) as image:
        rgb = to_rgb(image)
        rgb.load()  # `to_rgb` leaves a plain RGB image undecoded, and the file is about to close
        return rgb
