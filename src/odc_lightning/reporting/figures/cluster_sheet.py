"""Rows of clusters as a picture: facts of each, and the images nearest to its centroid."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from odc_lightning.data import ImageSource
from odc_lightning.reporting.figures.cluster_rows import PURE, ClusterRow
from odc_lightning.reporting.figures.curves import GREEN, ORANGE
from odc_lightning.reporting.figures.thumbnails import thumbnail

GAP, MARGIN, MARK = 6, 24, 5
PAPER, INK, FAINT = "#ffffff", "#1d1c19", "#6b675f"
LARGE, SMALL = 18, 13  # of text
# Names of classes are broken at this width; after so many lines or characters they end.
TEXT_WIDTH, NAME_LINES, MAX_TEXT_LENGTH = 220, 3, 500


class Line(NamedTuple):
    """A line of text; sizes in pixels."""

    text: str
    size: int
    colour: str

    @property
    def width(self) -> int:
        return int(_font(self.size).getlength(self.text)) + 1

    @property
    def height(self) -> int:
        return self.size * 4 // 3


LEGEND = (
    (GREEN, Line(f"{PURE:.0%} and more of one class", SMALL, INK)),
    (ORANGE, Line("across classes", SMALL, INK)),
)


def draw_strips(source: ImageSource, rows: Sequence[ClusterRow], side: int) -> list[Image.Image]:
    """The members of each cluster side by side, the nearest to the centroid first.

    Args:
        source: of the images.
        rows: clusters.
        side: of an image in pixels.

    Returns:
        A picture for each row, all as wide as the row with the most members.
    """
    step = side + GAP
    size = (max((len(row.members) for row in rows), default=0) * step - GAP, side)
    strips = []
    for row in rows:
        strip = Image.new("RGB", size, PAPER)
        for column, index in enumerate(row.members):
            strip.paste(thumbnail(source, int(index), side).picture, (column * step, 0))
        strips.append(strip)
    return strips


def draw_sheet(
    rows: Sequence[ClusterRow], strips: Sequence[Image.Image], names: Sequence[str] | None = None
) -> Image.Image:
    """All strips below each other, each with number, classes, size and mean distance.

    If classes are known, clusters with nearly one class only have a mark.

    Args:
        rows: clusters.
        strips: of `draw_strips`.
        names: of classes; None shows their numbers.

    Raises:
        ValueError: there are no clusters.
    """
    if not rows:
        raise ValueError("there are no clusters to draw; expected at least one")
    texts = [_lines(row, names) for row in rows]
    heights = [
        max(strip.height, sum(line.height for line in text))
        for text, strip in zip(texts, strips, strict=True)
    ]
    has_classes = any(row.classes for row in rows)
    above = LEGEND[0][1].height + 2 * GAP if has_classes else 0
    mark = MARGIN + max(line.width for text in texts for line in text) + 2 * GAP
    left = mark + (MARK + GAP if has_classes else 0)
    legend_end = _legend_places()[-1] if has_classes else 0
    size = (
        max(left + strips[0].width, legend_end) + MARGIN,
        2 * MARGIN + above + sum(heights) + GAP * (len(rows) - 1),
    )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    if has_classes:
        for x, (colour, line) in zip(_legend_places(), LEGEND, strict=False):
            draw.rectangle((x, MARGIN + 2, x + SMALL - 1, MARGIN + SMALL + 1), colour)
            _write(draw, (x + SMALL + GAP, MARGIN), [line])
    top = MARGIN + above
    for row, text, strip, height in zip(rows, texts, strips, heights, strict=True):
        _write(draw, (MARGIN, top), text)
        if row.classes:
            colour = GREEN if row.is_pure else ORANGE
            draw.rectangle((mark, top, mark + MARK - 1, top + strip.height - 1), colour)
        sheet.paste(strip, (left, top))
        top += height + GAP
    return sheet


def broken(text: str, size: int, width: int, most: int) -> list[str]:
    """Text broken into lines, at spaces if possible; text that does not fit ends with an ellipsis.

    Args:
        text: one line or several.
        size: of the text in pixels.
        width: largest width of a line in pixels.
        most: largest number of lines.
    """
    font = _font(size)
    words = " ".join(text[:MAX_TEXT_LENGTH].encode("utf-8", "replace").decode().split())
    lines: list[str] = []
    while words:
        end = len(words)
        while end > 1 and font.getlength(words[:end]) > width:
            end -= 1
        if end < len(words) and len(lines) + 1 == most:
            while end > 1 and font.getlength(words[:end].rstrip() + "…") > width:
                end -= 1
            return [*lines, words[:end].rstrip() + "…"]
        if end < len(words) and " " in words[: end + 1].strip():
            end = words[: end + 1].rindex(" ")
        lines.append(words[:end])
        words = words[end:].lstrip()
    return lines


def _lines(row: ClusterRow, names: Sequence[str] | None) -> list[Line]:
    """The text beside a row."""
    shown = row.classes[:1] if row.is_pure else row.classes
    classes = [
        Line(text, SMALL, INK)
        for label, share in shown
        for text in broken(
            f"{share:.0%} {names[label] if names else f'class {label}'}",
            SMALL,
            TEXT_WIDTH,
            NAME_LINES,
        )
    ]
    return [
        Line(str(row.cluster), LARGE, INK),
        *classes,
        Line(row.images, SMALL, FAINT),
        Line(f"distance {row.distance:.2f}", SMALL, FAINT),
    ]


def _legend_places() -> list[int]:
    """Left edge of each entry of the legend, and the right edge of the last one."""
    widths = [SMALL + GAP + line.width + 4 * GAP for _, line in LEGEND]
    return [MARGIN + sum(widths[:number]) for number in range(len(widths) + 1)]


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], lines: Sequence[Line]) -> None:
    """Draw lines below each other, from a position on."""
    x, y = place
    for line in lines:
        draw.text((x, y), line.text, line.colour, _font(line.size))
        y += line.height


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font of the other figures; Pillow's default font has no accents."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
