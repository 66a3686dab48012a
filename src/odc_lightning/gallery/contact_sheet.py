"""The paper's Figure 7: rows of clusters, each with the images nearest to its centroid."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from odc_lightning.data import ImageSource
from odc_lightning.gallery.arrangement import Arrangement
from odc_lightning.gallery.clustered import IntArray
from odc_lightning.gallery.thumbnails import thumbnail

ROWS, COLUMNS = 16, 12
SIDE, GAP, MARGIN, TEXT = 96, 6, 36, 132
PAPER, INK, FAINT = "#ffffff", "#1d1c1a", "#8a857c"


def shown_clusters(tightness: NDArray[np.float64], rows: int = ROWS) -> IntArray:
    """Which clusters: evenly from the tightest to the loosest, empty ones left out.

    Args:
        tightness: (C,) mean distance to the centroid, NaN for an empty cluster.
        rows: how many at most.
    """
    order = np.argsort(tightness, kind="stable")[: int(np.isfinite(tightness).sum())]
    return order[np.unique(np.linspace(0, len(order) - 1, min(rows, len(order))).astype(int))]


def draw_contact_sheet(
    source: ImageSource, arrangement: Arrangement, tightness: NDArray[np.float64], path: Path
) -> None:
    """Write the figure as PNG.

    Args:
        source: N images.
        arrangement: of them.
        tightness: (C,) mean distance to the centroid.
        path: of the file.
    """
    clusters = shown_clusters(tightness)
    step = SIDE + GAP
    size = (TEXT + COLUMNS * step - GAP + 2 * MARGIN, len(clusters) * step - GAP + 2 * MARGIN)
    figure = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(figure)
    large, small = ImageFont.load_default(20), ImageFont.load_default(13)
    for row, cluster in enumerate(clusters):
        top = MARGIN + row * step
        members = arrangement.members(int(cluster))
        draw.text((MARGIN, top + 20), str(cluster), INK, large)
        count = f"{len(members):,} image{'s' if len(members) != 1 else ''}"
        draw.text((MARGIN, top + 47), count, FAINT, small)
        draw.text((MARGIN, top + 64), f"{tightness[cluster]:.2f}", FAINT, small)
        for column, index in enumerate(members[:COLUMNS]):
            picture = thumbnail(source, int(index), SIDE).picture
            figure.paste(picture, (MARGIN + TEXT + column * step, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.save(path)
