"""Some of the clusters, each with the images nearest to its centroid, as in the paper's Figure 7.

This module chooses them; `odc_lightning.reporting.figures.cluster_sheet` draws them.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.seals import check_seal
from odc_lightning.utils.tables import read_table

Order = Literal["size", "tightness"]

# With at least this share of one class, a cluster counts as that class.
PURE = 0.9


class ClusterRow(NamedTuple):
    """One cluster.

    Attributes:
        cluster: its number.
        size: number of its images.
        distance: their mean distance to the centroid.
        members: (M,) indices of the images nearest to the centroid, the nearest first.
        classes: the two most frequent classes of its labelled images, with their shares.
    """

    cluster: int
    size: int
    distance: float
    members: IntArray
    classes: tuple[tuple[int, float], ...] = ()

    @property
    def is_pure(self) -> bool:
        """Whether nearly all of its images have one class."""
        return bool(self.classes) and self.classes[0][1] >= PURE

    @property
    def caption(self) -> str:
        """A caption of one line."""
        return f"cluster {self.cluster}: {self.images}, mean distance {self.distance:.2f}"

    @property
    def images(self) -> str:
        """The number of images as text."""
        return f"{self.size:,} image{'s' if self.size != 1 else ''}"


def choose_rows(
    labels: IntArray,
    distances: NDArray[np.floating],
    order: Order,
    rows: int,
    columns: int,
    classes: IntArray | None = None,
    least: int = 1,
) -> list[ClusterRow]:
    """Choose clusters evenly from the first to the last, without empty ones.

    Args:
        labels: (N,) the cluster of each image.
        distances: (N,) the distance of each image to its centroid.
        order: from the largest to the smallest (``"size"``), or from the smallest mean distance to
            the largest (``"tightness"``). Of equal clusters the lower number comes first.
        rows: largest number of clusters.
        columns: largest number of members of each.
        classes: (N,) true classes, -1 where unknown, or None.
        least: clusters with fewer images are left out, unless all have fewer.

    Returns:
        In that order.
    """
    clusters, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(places, weights=distances) / sizes
    ordered = np.argsort(-sizes if order == "size" else means, kind="stable")
    large = ordered[sizes[ordered] >= least]
    ordered = large if len(large) else ordered
    some = np.unique(np.linspace(0, len(ordered) - 1, min(rows, len(ordered))).astype(int))
    chosen = []
    for place in ordered[some]:
        members = np.flatnonzero(places == place)
        nearest = members[np.argsort(distances[members], kind="stable")[:columns]]
        shares = () if classes is None else _commonest(classes[members])
        row = ClusterRow(int(clusters[place]), len(members), float(means[place]), nearest, shares)
        chosen.append(row)
    return chosen


def read_rows(
    clusters_csv: Path, classes: IntArray | None, rows: int, columns: int
) -> list[ClusterRow]:
    """Choose clusters of a run's table, from the tightest to the loosest.

    Args:
        clusters_csv: ``clusters.csv`` of a run.
        classes: (N,) true classes, -1 where unknown, or None.
        rows: largest number of clusters. Clusters with fewer than ``columns`` images are left out,
            unless all have fewer.
        columns: largest number of images of each.

    Raises:
        ValueError: the file has no images, or lacks a column.
    """
    check_seal(clusters_csv)
    table = read_table(clusters_csv, "index", "cluster", "distance")
    if not table:
        raise ValueError(f"{clusters_csv} has no images; expected that of a finished run")
    indices, labels, distances = np.array(table, dtype=np.float64).T
    indices = indices.astype(np.int64)
    classes = None if classes is None else classes[indices]
    found = choose_rows(
        labels.astype(np.int64), distances, "tightness", rows, columns, classes, least=columns
    )
    return [row._replace(members=indices[row.members]) for row in found]


def _commonest(classes: IntArray) -> tuple[tuple[int, float], ...]:
    """The two most frequent of the known classes, with their shares."""
    names, counts = np.unique(classes[classes >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:2]
    return tuple((int(names[i]), float(counts[i] / counts.sum())) for i in order)
