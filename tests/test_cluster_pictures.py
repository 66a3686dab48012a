"""Which clusters are drawn, and what the pictures hold."""

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import ArraySource
from odc_lightning.report import draw_sheet, draw_strip, shown_rows
from odc_lightning.report.cluster_pictures import COLUMNS, GAP, ROWS, SIDE, thumbnail


def test_rows_beside_a_slow_search() -> None:
    """From the largest to the smallest; number 3 is empty."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2, 4], [20, 80, 40, 60]))
    distances = rng.random(200)
    rows = shown_rows(labels, distances, rows=3, columns=5)
    assert [row.cluster for row in rows] == [1, 4, 0]
    for row in rows:
        members = [index for index in range(200) if labels[index] == row.cluster]
        nearest = sorted(members, key=lambda index: distances[index])[:5]
        assert row.members.tolist() == nearest
        assert row.size == len(members)
        assert row.distance == pytest.approx(sum(distances[members]) / len(members))
    assert len(shown_rows(labels, distances)) == 4


def test_what_is_drawn_is_bounded() -> None:
    labels = np.arange(5000) % 1000
    rows = shown_rows(labels, np.zeros(5000))
    assert len(rows) == ROWS
    assert max(len(row.members) for row in rows) == 5 <= COLUMNS


def test_pictures() -> None:
    """Each member is at its place in its own colour."""
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    source = ArraySource(np.tile(colours[:, None, None], (1, 8, 8, 1)), "colours")
    rows = shown_rows(np.array([1, 0, 1]), np.array([0.5, 0.25, 0.125]))
    assert rows[0].caption == "cluster 1: 2 images, mean distance 0.31"
    strips = [draw_strip(source, row) for row in rows]
    middles = [(column * (SIDE + GAP) + SIDE // 2, SIDE // 2) for column in range(3)]
    white = (255, 255, 255)
    assert [strips[0].getpixel(middle) for middle in middles] == [(0, 0, 200), (200, 0, 0), white]
    assert [strips[1].getpixel(middle) for middle in middles] == [(0, 200, 0), white, white]
    sheet = np.asarray(draw_sheet(rows, strips))
    assert sheet.shape[1] > strips[0].width
    for strip in strips:
        found = [
            np.array_equal(
                sheet[top : top + SIDE, -strip.width - 3 * GAP : -3 * GAP], np.asarray(strip)
            )
            for top in range(len(sheet) - SIDE)
        ]
        assert sum(found) == 1
    with pytest.raises(ValueError, match="no cluster"):
        draw_sheet([], [])


def test_an_image_that_cannot_be_loaded_is_grey() -> None:
    class Broken(ArraySource):
        def load(self, index: int) -> Image.Image:
            raise OSError("truncated")

    grey = thumbnail(Broken(np.zeros((1, 8, 8), np.uint8), "broken"), 0)
    assert grey.size == (SIDE, SIDE)
    assert len(grey.getcolors() or []) == 1
