"""Images that are decoded once, and then kept where all processes that load them find them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from PIL import Image

from odc_lightning.data.decoding.copies import SizeOfCopy, as_copy
from odc_lightning.data.shared_pixels import Pixels, forks
from odc_lightning.data.sources import ImageSource
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.distributed import from_rank_zero
from odc_lightning.utils.room import available_ram, free_on_disk, in_words
from odc_lightning.utils.text import quantity

Cache = Literal["auto", "ram", "disk", "none"]
# Of what is free; features, network and other programs need room too.
SHARE_OF_RAM = 0.25
SHARE_OF_DISK = 0.5
_MEASURED = 256  # images that tell how much room all of them need
_AT_ONCE = 256  # headers read by a thread


class DecodedImages(ImageSource):
    """The images of a source, or smaller copies of them, each decoded once.

    Args:
        source: N images.
        size_of_copy: the size of the copy that is made of an image, see `read_rgb`.
        pixels: where they are kept; None: nowhere, so that they are decoded again and again.
        full_sizes: (N, 2), width and height of each image that is kept.
    """

    def __init__(
        self,
        source: ImageSource,
        size_of_copy: SizeOfCopy,
        pixels: Pixels | None = None,
        full_sizes: IntArray | None = None,
    ) -> None:
        self.source = source.in_copies(size_of_copy)
        self.pixels = pixels
        self.full_sizes = full_sizes
        self.reading = self.source.reading
        self.labels = source.labels
        self.objects = source.objects
        self.class_names = source.class_names
        self.passed_over = source.passed_over

    def __len__(self) -> int:
        return len(self.source)

    def load(self, index: int) -> Image.Image:
        if self.pixels is None or self.full_sizes is None:
            return self.source.load(index)
        kept = self.pixels.get(index)
        if kept is not None:
            width, height = self.full_sizes[index].tolist()
            return as_copy(kept, (width, height))
        image = self.source.load(index)
        self.pixels.put(index, image)
        return image

    def in_copies(self, size_of_copy: SizeOfCopy) -> Self:
        """Itself: its images are copies already."""
        return self

    def name(self, index: int) -> str:
        return self.source.name(index)

    def path(self, index: int) -> Path | None:
        return self.source.path(index)


def decoded_once(
    source: ImageSource, size_of_copy: SizeOfCopy, cache: Cache, folder: Path, ranks_on_node: int
) -> tuple[ImageSource, str]:
    """The images of a source, decoded once if there is room to keep them.

    Every rank has room of its own. What is loaded does not depend on the room.

    Args:
        source: N images.
        size_of_copy: the size of a copy that is enough for everything that they are used for.
        cache: where to keep decoded images. ``"auto"``: in RAM; on disk if they take no more room
            than their files do; else nowhere.
        folder: of the file on disk.
        ranks_on_node: number of processes that share RAM and disk.

    Returns:
        The images, and a line for the log; it is empty for images that are in memory anyway.

    Raises:
        ValueError: the cache is unknown, or there is no room where it was asked for.
    """
    if cache not in ("auto", "ram", "disk", "none"):
        raise ValueError(f"data.cache={cache}; expected auto, ram, disk or none")
    if cache == "none" or source.path(0) is None:
        return source, ""
    plan = from_rank_zero(lambda: _plan(source, size_of_copy, cache, folder, ranks_on_node))
    if plan.full_sizes is None:
        return DecodedImages(source, size_of_copy), plan.line
    sizes = _sizes_of_copies(plan.full_sizes, size_of_copy)
    try:
        pixels = Pixels(sizes, plan.folder)
    except OSError as error:
        raise ValueError(
            f"decoded images cannot be kept in {folder}: {error}; set data.cache=none, or another "
            "folder of the run on a larger disk"
        ) from error
    return DecodedImages(source, size_of_copy, pixels, plan.full_sizes), plan.line


class _Plan(NamedTuple):
    """Where decoded images are kept: in memory if ``folder`` is None, nowhere without sizes."""

    line: str
    full_sizes: IntArray | None = None
    folder: Path | None = None


def _plan(
    source: ImageSource, size_of_copy: SizeOfCopy, cache: Cache, folder: Path, ranks_on_node: int
) -> _Plan:
    number = len(source)
    rows = np.unique(np.linspace(0, number - 1, min(_MEASURED, number)).astype(int)).tolist()
    full_sizes = _read_sizes(source, rows)
    copies = _sizes_of_copies(full_sizes, size_of_copy)
    needed = int(3 * copies.prod(axis=1).mean() * number)
    on_disk = float(np.mean([_file_size(source.path(row)) for row in rows])) * number
    room = {
        "ram": int(available_ram() // ranks_on_node * SHARE_OF_RAM),
        "disk": int(free_on_disk(folder) // ranks_on_node * SHARE_OF_DISK),
    }
    places = [name for name in room if cache in ("auto", name) and needed <= room[name]]
    if not forks() and cache == "auto":  # other processes would not find what is in RAM
        places = [name for name in places if name == "disk"]
    if cache == "auto" and needed > on_disk:
        places = [name for name in places if name == "ram"]
    middle = " x ".join(f"{side:.0f}" for side in np.median(copies, axis=0))
    whole = " x ".join(f"{side:.0f}" for side in np.median(full_sizes, axis=0))
    of = middle if middle == whole else f"{middle}, of {whole}"
    size = f"{quantity(number, 'image')} of {of} pixels"
    if not places:
        rooms = ", ".join(f"{in_words(room[name])} in {name}" for name in room)
        if cache != "auto":
            raise ValueError(
                f"data.cache={cache}: the {size} need {in_words(needed)} when decoded, and there "
                f"is room for {rooms} ({SHARE_OF_RAM:.0%} of free RAM, {SHARE_OF_DISK:.0%} of the "
                "free disk); set data.cache=auto"
            )
        return _Plan(f"{size} are decoded in each epoch: {in_words(needed)}, room for {rooms}")
    where = "in RAM" if places[0] == "ram" else f"in a file in {folder}"
    line = f"{size} are decoded once and kept {where}: {in_words(needed)}"
    return _Plan(line, _read_sizes(source, range(number)), None if places[0] == "ram" else folder)


def _read_sizes(source: ImageSource, rows: Sequence[int]) -> IntArray:
    """Width and height (M, 2) of some images; 1 x 1 for those that cannot be read."""

    def read(start: int) -> list[tuple[int, int]]:
        return [_size(source, row) for row in rows[start : start + _AT_ONCE]]

    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as pool:
        parts = pool.map(read, range(0, len(rows), _AT_ONCE))
        return np.array([size for part in parts for size in part], dtype=np.int64)


def _size(source: ImageSource, row: int) -> tuple[int, int]:
    try:
        return source.size(row)
    except Exception:  # Pillow raises errors of many types; it fails when it is loaded
        return 1, 1


def _sizes_of_copies(full_sizes: IntArray, size_of_copy: SizeOfCopy) -> IntArray:
    return np.array([size_of_copy(*size) for size in full_sizes.tolist()], dtype=np.int64)


def _file_size(path: Path | None) -> int:
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:
        return 0
