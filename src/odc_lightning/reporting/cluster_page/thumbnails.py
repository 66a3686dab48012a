"""Thumbnails of all images, many to a file, in one pass over the images."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from odc_lightning.data import LARGEST_THUMBNAIL, ImageSource
from odc_lightning.reporting.cluster_page.duplicates import SIDE, Signatures, are_alike, signature
from odc_lightning.reporting.figures.thumbnails import Problem, Thumbnail, thumbnail
from odc_lightning.utils.arrays import IntArray

COLUMNS = 10
PER_SHEET = 100
FACES = 4  # of a cluster, two by two
# Side in pixels by the number of images: large for a folder of photographs, and small enough that
# ImageNet fits a disk. Multiples of 16, so that no JPEG block lies across two pictures.
SIDES = ((10_000, LARGEST_THUMBNAIL), (100_000, 128), (500_000, 96))
MIN_SIDE = 64  # smaller images are enlarged
QUALITY = 82
BACKGROUND = (128, 128, 128)
_MEASURED_IMAGES = 50  # images that are measured to choose the side


@dataclass
class Pictures:
    """Results of the pass over N images, besides the files.

    Attributes:
        signatures: (N, S) uint8 by index, for near-duplicates; zeros for a placeholder.
        problems: images that could not be loaded, in the order of the page.
    """

    signatures: Signatures
    problems: list[Problem] = field(default_factory=list)


def choose_side(source: ImageSource) -> int:
    """The side of a thumbnail in pixels, by the number of images and by their size."""
    num_images = len(source)
    wanted = next((side for most, side in SIDES if num_images <= most), MIN_SIDE)
    sides = []
    for index in np.unique(np.linspace(0, num_images - 1, _MEASURED_IMAGES).astype(int)):
        try:
            sides.append(min(source.size(int(index))))
        except Exception:  # it is reported when its thumbnail is made
            continue
    own = int(np.median(sides)) if sides else wanted
    return max(MIN_SIDE, min(wanted, own // 16 * 16))


def sheet_of(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Square pictures of one size, row by row; all sheets have the same width."""
    side = pictures[0].width
    sheet = Image.new("RGB", (side * columns, side * -(-len(pictures) // columns)), BACKGROUND)
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * side, number // columns * side))
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """Write a JPEG; its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=QUALITY)


def write_sheets(
    source: ImageSource,
    indices: IntArray,
    folder: Path,
    side: int,
    each: Callable[[int, int, Thumbnail], None] = lambda position, index, thumbnail: None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write thumbnails of some images to ``0.jpg``, ``1.jpg``, ..., 100 to a file.

    Several threads load images (decoders run in parallel in threads). The memory is bounded for
    any number of images.

    Args:
        source: loads them.
        indices: (M,) of the images, in the order of the sheets.
        folder: for the sheets.
        side: of a thumbnail in pixels.
        each: called in order with position, index and thumbnail.
        progress: called with the number of images done.
    """

    def make(number: int) -> list[Thumbnail]:
        some = indices[number * PER_SHEET : (number + 1) * PER_SHEET]
        thumbnails = [thumbnail(source, int(index), side) for index in some]
        save(sheet_of([picture for picture, _ in thumbnails], COLUMNS), folder / f"{number}.jpg")
        return thumbnails

    position = 0
    for thumbnails in _in_order(make, -(-len(indices) // PER_SHEET)):
        for made in thumbnails:
            each(position, int(indices[position]), made)
            position += 1
        progress(position)


def write_all(
    source: ImageSource,
    order: IntArray,
    starts: IntArray,
    folder: Path,
    side: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Pictures:
    """Write thumbnails of all images, and a picture of the first ones of each cluster.

    Args:
        source: N images.
        order: (N,) indices in the order of the page.
        starts: (C + 1,) where clusters start.
        folder: for ``sheets/`` and ``faces/``.
        side: of a thumbnail in pixels.
        progress: called with the number of images done.
    """
    pictures = Pictures(np.zeros((len(order), SIDE**2), dtype=np.uint8))
    clusters = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    faces: list[tuple[Image.Image, Signatures]] = []  # of the current cluster

    def each(position: int, index: int, made: Thumbnail) -> None:
        own = signature(made.picture)
        if made.problem is None:
            pictures.signatures[index] = own
        else:
            pictures.problems.append(made.problem)
        # Four that differ: a cluster of duplicates would show one picture four times.
        if len(faces) < FACES and not any(are_alike(own, other) for _, other in faces):
            faces.append((made.picture, own))
        cluster = int(clusters[position])
        if position == starts[cluster + 1] - 1:
            save(_faces([picture for picture, _ in faces]), folder / "faces" / f"{cluster}.jpg")
            faces.clear()

    write_sheets(source, order, folder / "sheets", side, each, progress)
    return pictures


def _faces(pictures: Sequence[Image.Image]) -> Image.Image:
    """Two by two pictures; fewer than four are repeated."""
    return sheet_of([pictures[number % len(pictures)] for number in range(FACES)], 2)


def _in_order(make: Callable[[int], list[Thumbnail]], number: int) -> Iterator[list[Thumbnail]]:
    """Results of ``make`` for 0, 1, ..., a few at a time in threads."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[list[Thumbnail]]] = deque()
        for each in range(number):
            running.append(pool.submit(make, each))
            if len(running) > 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
