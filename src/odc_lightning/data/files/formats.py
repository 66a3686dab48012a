"""Formats of image files: those that Pillow and its plug-ins decode, and advice for the others."""

from __future__ import annotations

import importlib
from pathlib import Path

from PIL import Image

# Pillow names these formats but cannot decode them without another program.
_UNDECODABLE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Several pictures in a JPEG file, which Pillow's decoder of JPEG opens.
_OPENED_AS_JPEG = {"MPO"}

_HEIF = "install pillow-heif to use them"
_AVIF = "install Pillow 11.3 or newer to use them"
_RAW = "raw photographs, export them as JPEG or TIFF"
_OTHER = "export them as JPEG, PNG or TIFF"
# Photographs and drawings in formats that are not decoded -> what to do.
ADVICE = {
    **dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), _HEIF),
    **dict.fromkeys((".avif", ".avifs"), _AVIF),
    **dict.fromkeys(
        (
            *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc"),
            *(".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2"),
            *(".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        ),
        _RAW,
    ),
    **dict.fromkeys((".jxl", ".jxr", ".xcf", ".kra", ".exr"), _OTHER),
    ".dcm": "DICOM, convert them to PNG or TIFF with 16 bits",
}


def image_extensions() -> frozenset[str]:
    """File extensions, in lower case with the dot, of every format that Pillow decodes.

    The formats of pillow-heif are among them if it is installed.
    """
    registered = Image.registered_extensions()  # first, because it loads all of Pillow's formats
    decoded = (Image.OPEN.keys() | _OPENED_AS_JPEG) - _UNDECODABLE
    return frozenset(extension for extension, kind in registered.items() if kind in decoded)


def advice_on(path: Path) -> str | None:
    """What to do with a file in a format of `ADVICE`; None for files in other formats."""
    extension = path.suffix.lower()
    return None if extension in image_extensions() else ADVICE.get(extension)


def register_plugins() -> None:
    """Add the formats of pillow-heif to Pillow, if it is installed."""
    try:
        plugin = importlib.import_module("pillow_heif")
    except ImportError:
        return
    plugin.register_heif_opener()


register_plugins()  # in every process that loads images, dataloader workers included
