"""The search for truncated or unreadable images before training starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pytorch_lightning.utilities import rank_zero_only

from odc_lightning.data.decoding.images import Reading, check_values, open_image, read_rgb
from odc_lightning.data.sources import ImageSource, SubsetSource
from odc_lightning.utils.text import printable
from odc_lightning.utils.threads import in_threads

logger = logging.getLogger(__name__)

ScanMode = Literal["quick", "full", "none"]
Problem = tuple[Path, str]  # a file and what is wrong with it

# The last bytes of a complete file. MPO is the JPEG of cameras that store several pictures.
_END = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b";"}
_PADDING = b"\x00\xff\r\n\t "  # bytes that some programs write after the end
_TAIL = 4096
_FILES_PER_TASK = 256


def scan_images(
    paths: Sequence[Path], mode: ScanMode = "quick", reading: Reading | None = None
) -> list[Problem]:
    """Every file that is missing, empty, truncated, too large or not an image, in the order given.

    Args:
        paths: image files.
        mode: `quick` reads the header and the end of JPEG, PNG, GIF and WebP files and decodes
            only the others; `full` decodes every file; `none` skips the scan.
        reading: how the files will be read; None: without a config.

    Raises:
        ValueError: for another mode.
    """
    if mode not in ("quick", "full", "none"):
        raise ValueError(f"scan={mode!r}; expected quick, full or none")
    if mode == "none":
        return []

    read = reading or Reading()
    faults = in_threads(lambda path: find_fault(path, mode, read), paths, _FILES_PER_TASK)
    return [(path, fault) for path, fault in zip(paths, faults, strict=True) if fault]


def find_fault(path: Path, mode: Literal["quick", "full"], reading: Reading) -> str | None:
    """The fault of one file, or None if it has none."""
    try:
        if path.stat().st_size == 0:
            return "empty file (0 bytes)"
        with open_image(path, reading.max_pixels) as image:
            check_values(image, reading)
            kind = image.format
        has_end = _has_end(path, kind)
        if mode == "full" or not has_end:
            read_rgb(path, reading)
    except Exception as error:  # Pillow's decoders raise anything from OSError to struct.error
        return str(error) or type(error).__name__
    # The other decoders refuse a file without its end; the decoders of these two do not notice.
    if not has_end and kind in ("PNG", "GIF"):
        return "truncated: the end of the file is missing"
    return None


def _has_end(path: Path, kind: str | None) -> bool:
    """Whether the file ends with the end marker of its format; False for formats without one.

    False alone does not prove a fault: phones append videos to a JPEG, for example.
    """
    if kind == "WEBP":
        with path.open("rb") as file:
            payload = int.from_bytes(file.read(8)[4:], "little")
        return path.stat().st_size >= payload + 8  # the header states the size
    if kind not in _END:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    return tail.rstrip(_PADDING).endswith(_END[kind])


def scan_source(
    source: ImageSource, mode: ScanMode = "quick", reading: Reading | None = None
) -> list[Problem]:
    """`scan_images` for the images of a source that are files and that exist."""
    paths = [path for index in range(len(source)) if (path := source.path(index)) is not None]
    return scan_images(paths, mode, reading)


def readable(source: ImageSource, problems: Sequence[Problem]) -> ImageSource:
    """The images of `source` that have no problem.

    Raises:
        ValueError: if all have one.
    """
    if not problems:
        return source
    damaged = {path for path, _ in problems}
    kept = [index for index in range(len(source)) if source.path(index) not in damaged]
    if not kept:
        raise ValueError(
            f"there are no images that can be read: all {len(source)} are damaged\n"
            f"{_listing(problems, at_most=10)}"
        )
    return SubsetSource(source, np.array(kept, dtype=np.int64))


def without_problems(
    source: ImageSource, problems: Sequence[Problem], on_error: Literal["raise", "skip"]
) -> ImageSource:
    """`readable`, with a report of the damaged images.

    Args:
        on_error: `skip` leaves the damaged images out and logs their number and names; `raise`
            raises.

    Raises:
        ValueError: with `raise`, if there are problems; the message lists them. With `skip`, if
            there are no other images.
    """
    if not problems:
        return source
    count = f"{len(problems)} of {len(source)} images cannot be read"
    most = "These are most of the images: check that their download or copy is complete."
    advice = f"\n{most}" if 2 * len(problems) > len(source) else ""
    if on_error == "raise":
        raise ValueError(
            f"{count}:\n{_listing(problems, at_most=20)}{advice}\n"
            "Repair or remove these files, or set data.on_error=skip to leave them out."
        )
    kept = readable(source, problems)
    warn = rank_zero_only(logger.warning)  # all ranks see the same problems
    warn("%s and are left out:\n%s%s", count, _listing(problems, at_most=10), advice)
    return kept


def _listing(problems: Sequence[Problem], at_most: int) -> str:
    lines = [f"  {printable(path)}: {printable(fault)}" for path, fault in problems[:at_most]]
    if len(problems) > at_most:
        lines.append(f"  ... and {len(problems) - at_most} more")
    return "\n".join(lines)
