"""Images that are decoded once, and then kept where all processes that load them find them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from PIL import Image

from odc_lightning.data.decoding.copies import SizeOfCopy
from odc_lightning.data.shared_pixels import Pixels
from odc_lightning.data.sources import ImageSource
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.distributed import from_rank_zero
from odc_lightning.utils.room import available_ram, free_on_disk, in_words
from odc_lightning.utils.text import quantity
from odc_lightning.utils.threads import in_threads

Cache = Literal["auto", "ram", "disk", "none"]
# Of what is free; features, network and other programs need room too.
SHARE_OF_RAM = 0.25
SHARE_OF_DISK = 0.5
_MEASURED = 256  # images that tell how much room all of them need
_AT_ONCE = 32  # headers read by a thread


class DecodedImages(ImageSource):
    """The images of a source, or smaller copies of them, each decoded once.

    Args:
        source: N images.
        size_of_copy: the size of the copy that is made of an image, see `read_rgb`.
        pixels: where they are kept; None: nowhere, so that they are decoded again and again.
    """

    def __init__(
        self, source: ImageSource, size_of_copy: SizeOfCopy, pixels: Pixels | None = None
    ) -> None:
        self.source = source.in_copies(size_of_copy)
        self.pixels = pixels
        self.reading = self.source.reading
        self.labels = source.labels
        self.objects = source.objects
        self.class_names = source.class_names
        self.passed_over = source.passed_over

    def __len__(self) -> int:
        return len(self.source)

    def load(self, index: int) -> Image.Image:
        if self.pixels is None:
            return self.source.load(index)
        kept = self.pixels.get(index)
        if kept is not None:
            return kept
        image = self.source.load(index)
        self.pixels.put(index, image)
        return image

    def in_copies(self, size_of_copy: SizeOfCopy | None) -> Self:
        """Itself: its images are copies already."""
        return self

    def name(self, index: int) -> str:
        return self.source.name(index)

    def path(self, index: int) -> Path | None:
        return self.source.path(index)


class Room:
    """Room for decoded images of this process, in bytes; what is taken in RAM is noted.

    Memory that is reserved counts as free until it is filled.

    Args:
        folder: of a file on disk.
        ranks_on_node: number of processes that share RAM and disk.
        in_ram: whether the processes that load images find what is in RAM: none does, or they are
            forked.
    """

    def __init__(self, folder: Path, ranks_on_node: int, in_ram: bool = True) -> None:
        self.folder = folder
        self.ranks_on_node = ranks_on_node
        self.in_ram = in_ram
        self.ram = int(available_ram() // ranks_on_node * SHARE_OF_RAM) if in_ram else 0

    def free(self) -> dict[str, int]:
        """Bytes that may be taken, by place."""
        disk = int(free_on_disk(self.folder) // self.ranks_on_node * SHARE_OF_DISK)
        return {"ram": self.ram, "disk": disk}


def decoded_once(
    source: ImageSource, size_of_copy: SizeOfCopy, cache: Cache, room: Room
) -> tuple[ImageSource, str]:
    """The images of a source, decoded once if there is room to keep them.

    Every rank has room of its own. What is loaded does not depend on the room.

    Args:
        source: N images.
        size_of_copy: the size of a copy that is enough for everything that they are used for.
        cache: where to keep decoded images. ``"auto"``: in RAM; on disk if they take no more room
            than their files do; else nowhere.
        room: there is; what is taken in RAM is subtracted.

    Returns:
        The images, and a line for the log; it is empty for images that are in memory anyway.

    Raises:
        ValueError: the cache is unknown, or there is no room where it was asked for.
    """
    if cache not in ("auto", "ram", "disk", "none"):
        raise ValueError(f"data.cache={cache}; expected auto, ram, disk or none")
    if cache == "none" or len(source) == 0 or source.path(0) is None:
        return source, ""
    plan = from_rank_zero(lambda: _plan(source, size_of_copy, cache, room))
    if plan.full_sizes is None:
        return DecodedImages(source, size_of_copy), plan.line
    sizes = _sizes_of_copies(plan.full_sizes, size_of_copy)
    try:
        pixels = Pixels(sizes, plan.full_sizes, room.folder if plan.place == "disk" else None)
    except OSError as error:
        where = "in RAM" if plan.place == "ram" else f"in {room.folder}"
        if cache == "auto":  # another rank may have room
            line = f"decoded images cannot be kept {where}: {error}; they are decoded in each epoch"
            return DecodedImages(source, size_of_copy), line
        raise ValueError(
            f"decoded images cannot be kept {where}: {error}; set data.cache=auto or "
            "data.cache=none, or another folder of the run on a larger disk"
        ) from error
    if plan.place == "ram":
        room.ram -= _bytes_of(sizes)
    return DecodedImages(source, size_of_copy, pixels), plan.line


class _Plan(NamedTuple):
    """Where decoded images are kept; nowhere without sizes."""

    line: str
    full_sizes: IntArray | None = None
    place: str | None = None


def _plan(source: ImageSource, size_of_copy: SizeOfCopy, cache: Cache, room: Room) -> _Plan:
    """Choose by the sizes of some images, then of all of them where there seems to be room."""
    number = len(source)
    some = np.unique(np.linspace(0, number - 1, min(_MEASURED, number)).astype(int)).tolist()
    on_disk = float(np.mean([_file_size(source.path(row)) for row in some])) * number
    free = room.free()
    if cache == "auto":
        free["disk"] = min(free["disk"], int(on_disk))
    rooms = f"{in_words(free['ram'])} in RAM, {in_words(free['disk'])} on disk"
    line, place = "", None
    for rows in (some,) if len(some) == number else (some, range(number)):
        full_sizes = _read_sizes(source, rows)
        copies = _sizes_of_copies(full_sizes, size_of_copy)
        needed = _bytes_of(copies) * number // len(rows)
        middle = " x ".join(f"{side:.0f}" for side in np.median(copies, axis=0))
        whole = " x ".join(f"{side:.0f}" for side in np.median(full_sizes, axis=0))
        size = f"{quantity(number, 'image')} of {whole} pixels"
        to = "" if middle == whole else f", to {middle},"
        fits = [name for name, most in free.items() if cache in ("auto", name) and needed <= most]
        place = fits[0] if fits else None
        if place is None:
            if cache != "auto":
                raise ValueError(_refusal(cache, size, needed, rooms, room))
            return _Plan(
                f"{size} are decoded in each epoch{to} because they would take {in_words(needed)} "
                f"and there is room for {rooms}"
            )
        where = "in RAM" if place == "ram" else f"in a file in {room.folder}"
        line = f"{size} are decoded once{to} and kept {where}: {in_words(needed)}"
    return _Plan(line, full_sizes, place)


def _refusal(cache: str, size: str, needed: int, rooms: str, room: Room) -> str:
    if cache == "ram" and not room.in_ram:
        return (
            "data.cache=ram: on this system the processes that load images do not share memory; "
            "set data.cache=disk, or data.num_workers=0"
        )
    return (
        f"data.cache={cache}: the {size} need {in_words(needed)} when decoded, and there is room "
        f"for {rooms} ({SHARE_OF_RAM:.0%} of free RAM, {SHARE_OF_DISK:.0%} of the free disk); set "
        "data.cache=auto"
    )


def _bytes_of(sizes: IntArray) -> int:
    return int(3 * sizes.prod(axis=1).sum())


def _read_sizes(source: ImageSource, rows: Sequence[int]) -> IntArray:
    """Width and height (M, 2) of some images; 1 x 1 for those that cannot be read."""

    return np.array(in_threads(lambda row: _size(source, row), rows, _AT_ONCE), dtype=np.int64)


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
