"""Clusters as rows of images, as in the paper's Figure 7."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from odc_lightning.data.sources import ImageSource
from odc_lightning.report.curves import BLUE, GREEN, ORANGE

ROWS, COLUMNS = 12, 12
# From this share of one class on a cluster stands for a class that people have named.
PURE = 0.9


class ClusterRow(NamedTuple):
    """One cluster.

    Attributes:
        cluster: its number.
        size: how many images it has.
        members: indices of the images nearest to its centroid, the nearest first.
        classes: of its labelled images the commonest classes, with their shares.
    """

    cluster: int
    size: int
    members: tuple[int, ...]
    classes: tuple[tuple[int, float], ...]

    @property
    def is_pure(self) -> bool:
        """Whether nearly all of it is of one class."""
        return bool(self.classes) and self.classes[0][1] >= PURE


def read_rows(
    clusters_csv: Path, labels: np.ndarray | None, rows: int = ROWS, columns: int = COLUMNS
) -> list[ClusterRow]:
    """Choose clusters evenly from the tightest to the loosest.

    Args:
        clusters_csv: as a run leaves it.
        labels: (N,) classes, -1 where unknown, or None.
        rows: clusters at most; those with fewer than ``columns`` images are left out, unless all
            are.
        columns: images of each at most.

    Returns:
        By the mean distance of their images to their centroid.

    Raises:
        ValueError: the file has no images.
    """
    members: dict[int, list[tuple[float, int]]] = {}
    with clusters_csv.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            place = float(row["distance"]), int(row["index"])
            members.setdefault(int(row["cluster"]), []).append(place)
    if not members:
        raise ValueError(f"{clusters_csv} has no images; expected that of a finished run")
    large = [cluster for cluster, of_it in members.items() if len(of_it) >= columns]
    order = sorted(large or members, key=lambda c: np.mean([d for d, _ in members[c]]))
    places = np.unique(np.linspace(0, len(order) - 1, min(rows, len(order))).astype(int))
    return [_row(order[place], sorted(members[order[place]]), labels, columns) for place in places]


def draw_clusters(rows: Sequence[ClusterRow], source: ImageSource, path: Path | str) -> None:
    """Draw a row a cluster, with a green frame if nearly all of it is of one class.

    Args:
        rows: of `read_rows`.
        source: of the images.
        path: the PNG to write.
    """
    FigureCanvasAgg(build_figure(rows, source)).print_png(Path(path))


def build_figure(rows: Sequence[ClusterRow], source: ImageSource) -> Figure:
    """The figure of `draw_clusters`."""
    columns = max(len(row.members) for row in rows)
    figure = Figure(figsize=(2.6 + 0.72 * columns, 0.5 + 0.8 * len(rows)), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_aspect("equal")
    for place, row in enumerate(rows):
        top = 1.08 * place
        for column, index in enumerate(row.members):
            extent = (column + 0.03, column + 0.97, top + 0.97, top + 0.03)
            axes.imshow(np.asarray(source.load(index)), extent=extent, interpolation="nearest")
        colour = GREEN if row.is_pure else ORANGE if row.classes else BLUE
        axes.plot([-0.08, -0.08], [top + 0.05, top + 0.95], color=colour, linewidth=4)
        axes.text(-0.25, top + 0.36, _names(row, source.class_names), ha="right", fontsize=9)
        text = f"cluster {row.cluster}, {row.size:,} images"
        axes.text(-0.25, top + 0.74, text, ha="right", fontsize=7.5, color="#6B6B6B")
    if any(row.classes for row in rows):
        axes.text(0, -0.16, f"green: {PURE:.0%} and more of one class", fontsize=9, color=GREEN)
        axes.text(4.4, -0.16, "orange: across classes", fontsize=9, color=ORANGE)
    axes.set_xlim(-3.5, columns + 0.1)
    axes.set_ylim(1.08 * len(rows) + 0.15, -0.5)
    return figure


def _row(
    cluster: int, members: list[tuple[float, int]], labels: np.ndarray | None, columns: int
) -> ClusterRow:
    known = [] if labels is None else [int(labels[i]) for _, i in members if labels[i] >= 0]
    common = Counter(known).most_common(2)
    shares = tuple((label, count / len(known)) for label, count in common)
    return ClusterRow(cluster, len(members), tuple(i for _, i in members[:columns]), shares)


def _names(row: ClusterRow, names: Sequence[str] | None) -> str:
    shown = row.classes[:1] if row.is_pure else row.classes
    texts = [f"{names[c] if names else f'class {c}'} ({share:.0%})" for c, share in shown]
    return ", ".join(texts)
