"""Build the page of a clustering: measure the images, draw them, write the files."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from odc_lightning.naming import GivenNames
from odc_lightning.reporting.cluster_page.duplicates import near_duplicates
from odc_lightning.reporting.cluster_page.image_facts import ImageFacts
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
from odc_lightning.reporting.cluster_page.page_data import PageData, ToName, folder_url
from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.reporting.cluster_page.server import ORIGINALS
from odc_lightning.reporting.cluster_page.tables import write_tables
from odc_lightning.reporting.cluster_page.thumbnails import Pictures, choose_side, write_all
from odc_lightning.reporting.cluster_page.write_page import write_page
from odc_lightning.reporting.figures import choose_rows, draw_sheet, draw_strips
from odc_lightning.runs.clustered_images import ClusteredImages
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.text import valid_utf8

SHEET_ROWS, SHEET_COLUMNS, SHEET_SIDE = 16, 12, 96
MAX_OUTLIERS = 200

THUMBNAILS = "thumbnails"  # the part whose progress is counted
Timed = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class PageSettings:
    """Settings of a page.

    Attributes:
        title: at the top of the page.
        map_images: largest number of images on the map.
        duplicate_threshold: see `near_duplicates`.
        link_originals: whether the page has the paths of the image files, to show whole images.
        seed: of the map.
        run: folder of the run, for whoever reads the names that are given on the page.
        given: names that the page starts with.
        to_name: images that a person should name next.
        served: by a `PageServer`, which has the image files and saves the names.
    """

    title: str
    map_images: int = 5_000
    duplicate_threshold: float = 3.0
    link_originals: bool = True
    seed: int = 0
    run: Path | None = None
    given: GivenNames | None = None
    to_name: ToName | None = None
    served: bool = False


@dataclass
class ClusterPage:
    """A page that was built.

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
        folder: for ``index.html``, ``page/``, ``clusters.parquet``, ``clusters.csv`` and
            ``contact_sheet.png``.
        settings: of the page.
        timed: wraps each part; called with the name of the part.
        progress: called with the number of thumbnails made so far.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, facts, near, near_distances = measure_all(clustered, timed)
    with timed("tables"):
        write_tables(folder, images)
    data = PageData(images, folder / "page")
    with ThreadPoolExecutor(1) as beside:  # of a core, which decoding leaves free on many
        layout = beside.submit(data.write_map, settings.map_images, settings.seed)
        page = draw(images, facts, data.pictures, settings, timed, progress)
        with timed("rest of the map"):
            layout.result()
    with timed("page"):
        data.write_list("outliers", page.outliers, page.side)
        data.write_duplicates(page.duplicates, page.side)
        data.write_problems(page.pictures.problems)
        if settings.to_name is not None:
            data.write_to_name(settings.to_name, page.side)
        data.write_members()
        draw_contact_sheet(images).save(folder / "contact_sheet.png")
        data.write_overview(
            facts,
            near,
            near_distances,
            side=page.side,
            originals=originals(clustered, settings),
            title=settings.title,
            run=str(settings.run.absolute()) if settings.run and settings.link_originals else None,
            given=None if settings.given is None else settings.given.as_json(),
            duplicates={
                "groups": len(page.duplicates),
                "images": sum(len(group) for group in page.duplicates),
                "threshold": settings.duplicate_threshold,
            },
            problems=len(page.pictures.problems),
        )
        write_page(
            folder,
            {
                "title": valid_utf8(settings.title),
                "images": len(clustered.labels),
                "clusters": int((facts.sizes > 0).sum()),
                "labelled": facts.purity is not None,
                "problems": len(page.pictures.problems),
                "next": settings.to_name is not None,
            },
        )
    return page


def measure_all(
    clustered: ClusteredImages, timed: Timed
) -> tuple[ImageFacts, ClusterFacts, IntArray, FloatArray]:
    """Facts of the images and of the clusters.

    Args:
        clustered: N images in C clusters.
        timed: see `build_cluster_page`.

    Returns:
        Facts of both, and the nearest clusters of each with their distances: see
        `nearest_clusters`.
    """
    labels, classes = clustered.labels, clustered.source.labels
    with timed("distances"):
        measures = measure(clustered)
        facts = cluster_facts(labels, measures.distance, clustered.num_clusters, classes)
        page_order = PageOrder.of(labels, measures.distance, clustered.num_clusters)
        near, near_distances = nearest_clusters(clustered.centroids, facts.sizes, NEAR_CLUSTERS)
    with timed("neighbours"):
        distances, _ = near_neighbours(clustered.features, page_order, near)
        scores = outlier_scores(distances)
    images = ImageFacts(clustered, measures, page_order, scores, classes)
    return images, facts, near, near_distances


def draw(
    images: ImageFacts,
    facts: ClusterFacts,
    folder: Path,
    settings: PageSettings,
    timed: Timed,
    progress: Callable[[int], None],
) -> ClusterPage:
    """Write the thumbnails of all images, and find near-duplicates among them.

    Args:
        images, facts: of the page.
        folder: for the thumbnails.
        settings, timed, progress: see `build_cluster_page`.
    """
    source, page_order = images.clustered.source, images.page_order
    with timed(THUMBNAILS):
        side = choose_side(source)
        pictures = write_all(source, page_order.order, page_order.starts, folder, side, progress)
    with timed("near-duplicates"):
        duplicates = find_duplicates(pictures, settings.duplicate_threshold)
    outliers = np.argsort(-images.scores, kind="stable")[:MAX_OUTLIERS]
    return ClusterPage(facts, outliers, duplicates, pictures, side)


def originals(clustered: ClusteredImages, settings: PageSettings) -> str | None:
    """URL of the folder that the images' names are relative to; None if the page has no files."""
    if not settings.link_originals:
        return None
    return ORIGINALS if settings.served else folder_url(clustered)


def find_duplicates(pictures: Pictures, threshold: float) -> list[IntArray]:
    """Groups of near-duplicates among the images that could be loaded."""
    lost = [problem.number for problem in pictures.problems]
    loaded = np.setdiff1d(np.arange(len(pictures.signatures)), lost)
    groups = near_duplicates(pictures.signatures[loaded], threshold)
    return [loaded[group] for group in groups]


def draw_contact_sheet(images: ImageFacts) -> Image.Image:
    """The tightest clusters, one row each."""
    clustered, distance = images.clustered, images.measures.distance
    rows = choose_rows(clustered.labels, distance, "tightness", SHEET_ROWS, SHEET_COLUMNS)
    return draw_sheet(rows, draw_strips(clustered.source, rows, SHEET_SIDE))
