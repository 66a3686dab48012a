"""The pieces of data of a page: overview, members of clusters, lists of images, the map."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

import numpy as np
from numpy.typing import NDArray

from odc_lightning.naming import clustering_id
from odc_lightning.reporting.cluster_page.embedding_map import chosen_positions, layout
from odc_lightning.reporting.cluster_page.image_facts import ImageFacts, rounded
from odc_lightning.reporting.cluster_page.measures import ClusterFacts
from odc_lightning.reporting.cluster_page.thumbnails import COLUMNS, PER_SHEET, write_sheets
from odc_lightning.reporting.cluster_page.write_page import write_data
from odc_lightning.reporting.figures.thumbnails import Problem
from odc_lightning.runs.clustered_images import ClusteredImages
from odc_lightning.runs.images import RunImages
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.text import valid_utf8

PER_CHUNK = 5000  # images of a file
MAX_GROUPS, MAX_GROUP_IMAGES = 200, 12  # of near-duplicates
MAX_PROBLEMS = 1000
GRID = 65_535  # positions on the map are integers from 0 to this


class ToName(NamedTuple):
    """The images that a person should name next.

    Attributes:
        indices: (M,) of the images, the first to name first.
        guesses: M names; None for rubbish.
        probabilities: (M,) of the guesses.
    """

    indices: IntArray
    guesses: list[str | None]
    probabilities: NDArray[np.floating[Any]]


class PageData:
    """Writer of a page's data.

    Attributes:
        images: facts of N images.
        data: folder of the data.
        pictures: folder of the thumbnails.
    """

    def __init__(self, images: ImageFacts, folder: Path) -> None:
        """Take the facts, and the page's folder, which need not exist."""
        self.images = images
        self.data = folder / "data"
        self.pictures = folder / "pictures"

    def write_overview(
        self,
        facts: ClusterFacts,
        near: IntArray,
        near_distances: FloatArray,
        *,
        side: int,
        **more: Any,
    ) -> None:
        """Write the facts that the page needs at once: its settings, and a row for each cluster.

        Args:
            facts: of the clusters.
            near, near_distances: the nearest clusters of each; see `nearest_clusters`.
            side: of a thumbnail in pixels.
            more: further values of the page.
        """
        clustered, classes = self.images.clustered, self.images.classes
        overview = {
            **cluster_columns(facts, near, near_distances),
            "classes": clustered.source.class_names or class_numbers(classes),
            "side": side,
            "perSheet": PER_SHEET,
            "columns": COLUMNS,
            "perChunk": PER_CHUNK,
            "purity": facts.overall_purity,
            "clustering": clustering_id(clustered.names(), clustered.labels),
            **more,
        }
        write_data(self.data, "overview", overview)

    def write_members(self) -> None:
        """Write the facts of all images in the order of the page, ``PER_CHUNK`` to a file."""
        order = self.images.page_order.order
        for number, start in enumerate(range(0, len(order), PER_CHUNK)):
            columns = self.images.columns(order[start : start + PER_CHUNK])
            write_data(self.data, f"members/{number}", columns)

    def write_list(self, name: str, indices: IntArray, side: int, **more: Any) -> None:
        """Write a list of images from all clusters, with thumbnail sheets of its own.

        Args:
            name: of the list.
            indices: (M,) of its images.
            side: of a thumbnail in pixels.
            more: further values of the list.
        """
        if len(indices) > 0:
            write_sheets(self.images.clustered.source, indices, self.pictures / name, side)
        write_data(self.data, name, {**self.images.with_places(indices), **more})

    def write_duplicates(self, groups: Sequence[IntArray], side: int) -> None:
        """Write the largest groups of near-duplicates, and some images of each."""
        shown = [group[:MAX_GROUP_IMAGES] for group in groups[:MAX_GROUPS]]
        lengths = {
            "shown": [len(group) for group in shown],
            "all": [len(group) for group in groups[:MAX_GROUPS]],
        }
        indices = np.concatenate([np.zeros(0, dtype=np.int64), *shown])
        self.write_list("duplicates", indices, side, groups=lengths)

    def write_problems(self, problems: Sequence[Problem]) -> None:
        """Write which images cannot be shown, and why."""
        some = problems[:MAX_PROBLEMS]
        indices = np.array([problem.number for problem in some], dtype=np.int64)
        reasons = [valid_utf8(problem.reason) for problem in some]
        write_data(self.data, "problems", {**self.images.with_places(indices), "reason": reasons})

    def write_to_name(self, to_name: ToName, side: int) -> None:
        """Write the images that a person should name next, with a guess for each."""
        guesses = {"guess": to_name.guesses, "probability": rounded(to_name.probabilities)}
        self.write_list("next", to_name.indices, side, **guesses)

    def write_map(self, max_images: int, seed: int) -> None:
        """Write the positions of some images on the map."""
        images = self.images
        positions = chosen_positions(images.page_order, max_images, seed)
        indices = images.page_order.order[positions]
        places = layout(images.clustered.rows(indices), seed)
        x, y = np.rint(places * GRID).astype(int).T
        value = {
            "position": positions.tolist(),
            "x": x.tolist(),
            "y": y.tolist(),
            "grid": GRID,
            "label": None if images.classes is None else images.classes[indices].tolist(),
        }
        write_data(self.data, "map", value)


def cluster_columns(
    facts: ClusterFacts, near: IntArray, near_distances: FloatArray
) -> dict[str, Any]:
    """Columns of the overview, an entry for each cluster."""
    columns: dict[str, Any] = {
        "sizes": facts.sizes.tolist(),
        "tightness": rounded(facts.tightness),
        "near": near[:, :6].tolist(),
        "nearDistances": [rounded(row) for row in near_distances[:, :6]],
        "purities": None,
        "majorities": None,
    }
    if facts.purity is not None and facts.majority is not None:
        columns |= {"purities": rounded(facts.purity), "majorities": facts.majority.tolist()}
    return columns


def class_numbers(classes: IntArray | None) -> list[str] | None:
    """Numbers as names, for classes without names; None without classes."""
    if classes is None or not (classes >= 0).any():
        return None
    return [str(number) for number in range(int(classes.max()) + 1)]


def folder_url(clustered: ClusteredImages) -> str | None:
    """URL of the folder that the images' names are relative to; None for images without files."""
    source = clustered.source
    files = (
        (index for index, row in enumerate(source.found) if row is not None)
        if isinstance(source, RunImages)
        else iter([0])
    )
    first = next(files, None)
    path = None if first is None else source.path(first)
    name = None if first is None else source.name(first)
    if path is None or name is None or not str(path).endswith(name):
        return None
    root = "" if name.startswith("/") else str(path.absolute())[: -len(name)]
    return "file://" + quote_from_bytes(root.encode("utf-8", "surrogateescape"))
