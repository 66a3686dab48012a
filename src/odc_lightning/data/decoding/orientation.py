"""The orientation of a photograph: one number in its metadata, whatever else is there."""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

# How to turn or mirror the stored pixels, by the value of the tag; 1 is upright.
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TAG = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # TIFF type -> struct's character
_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\b")


def upright(image: Image.Image, original: Image.Image | None = None) -> Image.Image:
    """The image, turned and mirrored as its metadata say; itself if it is upright already.

    EXIF comes first, then XMP. Only the orientation is read, so that no other entry can do harm; a
    value that is not an integer from 1 to 8 means upright. Pillow turns TIFF files itself.

    Args:
        image: loaded.
        original: the image with the metadata; None: ``image``.
    """
    method = _METHODS.get(orientation(image if original is None else original))
    return image if method is None else image.transpose(method)


def orientation(image: Image.Image) -> int:
    """The orientation in the metadata of an image, 1 to 8."""
    if hasattr(image, "tag_v2"):  # a TIFF file, upright after it was loaded
        return 1
    exif, profile = image.info.get("exif"), image.info.get("Raw profile type exif")
    if exif is None and isinstance(profile, str):  # of PNG files by ImageMagick
        try:
            exif = bytes.fromhex("".join(profile.split("\n")[3:]))
        except ValueError:
            exif = None
    found = orientation_in_exif(exif) if isinstance(exif, bytes) else None
    return found or _orientation_in_xmp(image) or 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened image after `upright`; nothing is decoded."""
    width, height = image.size
    found = orientation(image)
    if hasattr(image, "tag_v2"):  # Pillow knows of the tag in a TIFF file, but not of XMP
        tag = _tag_of_tiff(image)
        found = 1 if tag else orientation_in_exif(image.info.get("exif", b"")) or 1
    return (height, width) if found >= 5 else (width, height)


def keep_orientation_alone(image: Image.Image) -> None:
    """Hide the other metadata of an opened TIFF file, which Pillow parses when it loads the pixels.

    Pillow turns such an image itself, and fails at entries that it cannot parse.
    """
    if not hasattr(image, "tag_v2"):
        return
    exif = Image.Exif()
    exif[_TAG] = _tag_of_tiff(image) or _orientation_in_xmp(image) or 1
    image.info["exif"] = exif.tobytes()
    image.info.pop("xmp", None)


def _tag_of_tiff(image: Any) -> int | None:
    try:
        stored = image.tag_v2.get(_TAG)
    except Exception:  # Pillow parses the value when it is asked for
        return None
    return int(stored) if stored in range(1, 9) else None


def _orientation_in_xmp(image: Image.Image) -> int | None:
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp")
    text = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp
    match = _XMP.search(text) if isinstance(text, bytes) else None
    return None if match is None else int(match[1])


def orientation_in_exif(exif: bytes) -> int | None:
    """The orientation in an EXIF record, 1 to 8; None if it has none.

    Args:
        exif: a TIFF header and directories, with or without ``Exif\\0\\0`` before them.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", exif, entry)
        if tag == _TAG:
            if kind not in _INTEGERS or number < 1:
                return None
            (value,) = struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)
            return int(value) if 1 <= value <= 8 else None
    return None
