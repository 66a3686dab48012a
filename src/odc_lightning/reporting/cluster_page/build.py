"""From a clustering to a folder that a browser shows."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np

from odc_lightning.reporting.cluster_page.duplicates import near_duplicates
from odc_lightning.reporting.cluster_page.embedding_map import chosen_positions, layout
from odc_lightning.reporting.cluster_page.image_facts import PER_CHUNK, ImageFacts, rounded
from odc_lightning.reporting.cluster_page.measures import (
    ClusterFacts,
    cluster_facts,
    measure,
    nearest_clusters,
)
from odc_lightning.reporting.cluster_page.neighbours import (
    NEAR_CLUSTERS,
    near_neighbours,
    outlier_scores,
)
from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.reporting.cluster_page.tables import write_tables
from odc_lightning.reporting.cluster_page.thumbnails import (
    COLUMNS,
    PER_SHEET,
    Pictures,
    choose_side,
    write_all,
    write_sheets,
)
from odc_lightning.reporting.cluster_page.write_page import write_data, write_page
from odc_lightning.reporting.figures import choose_rows, draw_sheet, draw_strips
from odc_lightning.runs.clustered_images import ClusteredImages
from odc_lightning.runs.images import RunImages
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.text import valid_utf8

SHEET_ROWS, SHEET_COLUMNS, SHEET_SIDE = 16, 12, 96
MAX_OUTLIERS = 200
MAX_GROUPS, MAX_GROUP_IMAGES = 200, 12
MAX_PROBLEMS = 1000
GRID = 65_535  # the map's places are whole numbers up to this

Timed = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class PageSettings:
    """Of a page.

    Attributes:
        title: at its top.
        map_images: how many are on the map at most.
        duplicate_threshold: see `near_duplicates`.
        link_originals: whether the page says where the images' files are, to show them whole.
        seed: of the map.
    """

    title: str
    map_images: int = 5_000
    duplicate_threshold: float = 3.0
    link_originals: bool = True
    seed: int = 0


@dataclass
class ClusterPage:
    """What came of it.

    Attributes:
        facts: of the clusters.
        outliers: indices, the farthest first.
        duplicates: groups of indices.
        pictures: of the pass over the images.
        side: of a thumbnail in pixels.
    """

    facts: ClusterFacts
    outliers: IntArray
    duplicates: list[IntArray]
    pictures: Pictures
    side: int


def build_cluster_page(
    clustered: ClusteredImages,
    folder: Path,
    settings: PageSettings,
    timed: Timed = lambda what: nullcontext(),
    progress: Callable[[int], None] = lambda done: None,
) -> ClusterPage:
    """Write tables, page and contact sheet.

    Args:
        clustered: N images in C clusters.
        folder: gets ``index.html``, ``page/``, ``clusters.parquet``, ``clusters.csv`` and
            ``contact_sheet.png``.
        settings: of the page.
        timed: wraps each part, by its name.
        progress: told how many thumbnails are done.
    """
    source, labels = clustered.source, clustered.labels
    classes = source.labels
    data, drawn = folder / "page" / "data", folder / "page" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with timed("distances"):
        measures = measure(clustered)
        facts = cluster_facts(labels, measures.distance, clustered.num_clusters, classes)
        arrangement = PageOrder.of(labels, measures.distance, clustered.num_clusters)
        near, near_distances = nearest_clusters(clustered.centroids, facts.sizes, NEAR_CLUSTERS)
    with timed("neighbours"):
        distances, _ = near_neighbours(clustered.features, arrangement, near)
        scores = outlier_scores(distances)
    names = [source.name(index) for index in range(len(source))]
    with timed("tables"):
        write_tables(folder, names, labels, measures, scores)
    records = ImageFacts(clustered, measures, arrangement, scores, classes)
    with timed("map"):
        write_map(records, data, settings)
    with timed("thumbnails"):
        side = choose_side(source)
        pictures = write_all(source, arrangement.order, arrangement.starts, drawn, side, progress)
    with timed("near-duplicates"):
        duplicates = find_duplicates(pictures, settings.duplicate_threshold)
    with timed("page"):
        outliers = np.argsort(-scores, kind="stable")[:MAX_OUTLIERS]
        write_list(records, outliers, "outliers", data, drawn, side)
        shown = [group[:MAX_GROUP_IMAGES] for group in duplicates[:MAX_GROUPS]]
        lengths = {"shown": [len(group) for group in shown], "all": [len(g) for g in duplicates]}
        lengths["all"] = lengths["all"][:MAX_GROUPS]
        some = np.concatenate([np.zeros(0, dtype=np.int64), *shown])
        write_list(records, some, "duplicates", data, drawn, side, groups=lengths)
        write_problems(records, pictures, data)
        write_chunks(records, data)
        rows = choose_rows(labels, measures.distance, "tightness", SHEET_ROWS, SHEET_COLUMNS)
        contact_sheet = draw_sheet(rows, draw_strips(source, rows, SHEET_SIDE))
        contact_sheet.save(folder / "contact_sheet.png")
        overview = {
            **of_clusters(facts, near, near_distances),
            "title": settings.title,
            "classes": source.class_names or class_numbers(classes),
            "side": side,
            "perSheet": PER_SHEET,
            "columns": COLUMNS,
            "perChunk": PER_CHUNK,
            "originals": originals(clustered) if settings.link_originals else None,
            "purity": facts.overall_purity,
            "duplicates": {
                "groups": len(duplicates),
                "images": sum(len(group) for group in duplicates),
                "threshold": settings.duplicate_threshold,
            },
            "problems": len(pictures.problems),
        }
        write_data(data, "overview", overview)
        write_page(
            folder,
            {
                "title": valid_utf8(settings.title),
                "images": len(labels),
                "clusters": int((facts.sizes > 0).sum()),
                "labelled": facts.purity is not None,
                "problems": len(pictures.problems),
            },
        )
    return ClusterPage(facts, outliers, duplicates, pictures, side)


def find_duplicates(pictures: Pictures, threshold: float) -> list[IntArray]:
    """Groups of near-duplicates; what could not be loaded is like nothing."""
    lost = [problem.number for problem in pictures.problems]
    loaded = np.setdiff1d(np.arange(len(pictures.signatures)), lost)
    groups = near_duplicates(pictures.signatures[loaded], threshold)
    return [loaded[group] for group in groups]


def of_clusters(facts: ClusterFacts, near: IntArray, near_distances: FloatArray) -> dict[str, Any]:
    """Columns of the overview, an entry a cluster."""
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
    """Names for classes that have none."""
    if classes is None or not (classes >= 0).any():
        return None
    return [str(number) for number in range(int(classes.max()) + 1)]


def write_chunks(records: ImageFacts, data: Path) -> None:
    """Facts of all images in the order of the page, some thousands a file."""
    order = records.arrangement.order
    for number, start in enumerate(range(0, len(order), PER_CHUNK)):
        write_data(data, f"members/{number}", records.columns(order[start : start + PER_CHUNK]))


def write_list(
    records: ImageFacts,
    indices: IntArray,
    name: str,
    data: Path,
    drawn: Path,
    side: int,
    **more: Any,
) -> None:
    """Images from all over the set, with sheets of their own."""
    if len(indices) > 0:
        write_sheets(records.clustered.source, indices, drawn / name, side)
    write_data(data, name, {**records.with_places(indices), **more})


def write_problems(records: ImageFacts, pictures: Pictures, data: Path) -> None:
    """What could not be shown, and why."""
    some = pictures.problems[:MAX_PROBLEMS]
    indices = np.array([problem.number for problem in some], dtype=np.int64)
    reasons = [valid_utf8(problem.reason) for problem in some]
    write_data(data, "problems", {**records.with_places(indices), "reason": reasons})


def write_map(records: ImageFacts, data: Path, settings: PageSettings) -> None:
    """Places of images on the map."""
    positions = chosen_positions(records.arrangement, settings.map_images, settings.seed)
    indices = records.arrangement.order[positions]
    places = layout(records.clustered.rows(indices), settings.seed)
    x, y = np.rint(places * GRID).astype(int).T
    value = {
        "position": positions.tolist(),
        "x": x.tolist(),
        "y": y.tolist(),
        "grid": GRID,
        "label": None if records.classes is None else records.classes[indices].tolist(),
    }
    write_data(data, "map", value)


def originals(clustered: ClusteredImages) -> str | None:
    """The address of the folder that names are relative to; None if images are no files."""
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
