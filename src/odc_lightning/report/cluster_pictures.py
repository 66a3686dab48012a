"""Pictures of some clusters: a strip of images each, and a sheet of all strips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from odc_lightning.data import ImageSource

# Bounds of what is drawn, whatever N and C are.
ROWS, COLUMNS, SIDE = 12, 10, 64
GAP, TEXT = 4, 118
PAPER, INK, FAINT, MISSING = "#ffffff", "#1d1c1a", "#7a756c", "#c4c0ba"

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.floating]


class Row(NamedTuple):
    """A cluster that is shown.

    Attributes:
        cluster: its number.
        size: how many members it has.
        distance: their mean distance to the centroid.
        members: (M,) indices of the members nearest to the centroid, the nearest first.
    """

    cluster: int
    size: int
    distance: float
    members: IntArray

    @property
    def caption(self) -> str:
        """In a line."""
        return f"cluster {self.cluster}: {self.size:,} images, mean distance {self.distance:.2f}"


def shown_rows(
    labels: IntArray, distances: FloatArray, rows: int = ROWS, columns: int = COLUMNS
) -> list[Row]:
    """Which clusters and members: evenly from the largest cluster to the smallest, no empty one.

    Args:
        labels: (N,) the cluster of each image.
        distances: (N,) the distance of each image to its centroid.
        rows: clusters at most.
        columns: members of each at most.
    """
    clusters, sizes = np.unique(labels, return_counts=True)
    by_size = np.argsort(-sizes, kind="stable")
    places = np.unique(np.linspace(0, len(clusters) - 1, min(rows, len(clusters))).astype(int))
    shown = []
    for place in by_size[places]:
        members = np.flatnonzero(labels == clusters[place])
        nearest = members[np.argsort(distances[members], kind="stable")[:columns]]
        mean = float(distances[members].mean())
        shown.append(Row(int(clusters[place]), int(sizes[place]), mean, nearest))
    return shown


def draw_strip(source: ImageSource, row: Row) -> Image.Image:
    """The members of a cluster side by side, the nearest to the centroid first."""
    step = SIDE + GAP
    strip = Image.new("RGB", (COLUMNS * step - GAP, SIDE), PAPER)
    for column, index in enumerate(row.members):
        strip.paste(thumbnail(source, int(index)), (column * step, 0))
    return strip


def draw_sheet(rows: Sequence[Row], strips: Sequence[Image.Image]) -> Image.Image:
    """All strips below each other, each beside number, size and mean distance of its cluster.

    Raises:
        ValueError: there is no strip.
    """
    if not strips:
        raise ValueError("there is no cluster to draw; expected at least one")
    step, margin = SIDE + GAP, 3 * GAP
    width = TEXT + strips[0].width + 2 * margin
    sheet = Image.new("RGB", (width, len(strips) * step - GAP + 2 * margin), PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(17), ImageFont.load_default(12)
    for number, (row, strip) in enumerate(zip(rows, strips, strict=True)):
        top = margin + number * step
        draw.text((margin, top + 4), str(row.cluster), INK, large)
        draw.text((margin, top + 27), f"{row.size:,} images", FAINT, small)
        draw.text((margin, top + 43), f"distance {row.distance:.2f}", FAINT, small)
        sheet.paste(strip, (margin + TEXT, top))
    return sheet


def thumbnail(source: ImageSource, index: int) -> Image.Image:
    """The middle square of an image; grey if it cannot be loaded, since this only looks on."""
    try:
        image = source.load(index)
        enlarged = max(image.size) < SIDE  # what has few pixels shows them
        method = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
        return ImageOps.fit(image, (SIDE, SIDE), method)
    except Exception:  # decoders raise anything
        return Image.new("RGB", (SIDE, SIDE), MISSING)
