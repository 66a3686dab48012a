"""Cost of the cluster page of a large run: ``python -m benchmarks.cluster_page --images 100000``.

Makes small JPEG files, crops of scikit-learn's two photographs, and random features in as many
groups as there are clusters. Builds the page as `odc_lightning.clusters` does, and opens it in
headless Chromium (Debian's). Prints Markdown tables.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.nn.functional import normalize

from benchmarks.tables import Table
from odc_lightning.clustering import cluster_means
from odc_lightning.data import FileSource
from odc_lightning.reporting.cluster_page import PageSettings, build_cluster_page
from odc_lightning.runs.clustered_images import ClusteredImages

SIDE = 128  # pixels of an image
DIM = 128  # D
LOADS = 5  # page loads; their median is reported
PER_FOLDER = 1000
# Times in ms since the start of navigation: from the browser, and from the page itself.
PAINT = """
const done = arguments[0];
const start = (name) => performance.getEntriesByName(name)[0]?.startTime;
const look = () => {
  const times = [start("first-contentful-paint"), start("view overview")];
  if (times.includes(undefined)) setTimeout(look, 20);
  else done(times);
};
look();
"""


def write_images(folder: Path, number: int) -> list[str]:
    """Write crops of random position and size; returns their names."""
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    names = [f"{index // PER_FOLDER:04d}/{index:07d}.jpg" for index in range(number)]
    for each in sorted({name.partition("/")[0] for name in names}):
        (folder / each).mkdir(parents=True, exist_ok=True)

    def write(index: int) -> None:
        rng = np.random.default_rng(index)
        photograph = photographs[index % 2]
        side = int(rng.integers(SIDE // 2, 400))
        left, top = (int(rng.integers(0, length - side)) for length in photograph.size)
        crop = photograph.crop((left, top, left + side, top + side))
        crop.resize((SIDE, SIDE)).save(folder / names[index], quality=85)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(number)))
    return names


def made_up(root: Path, names: Sequence[str], num_clusters: int) -> ClusteredImages:
    """Random features of unit length around one direction per cluster."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, num_clusters, (len(names),), generator=generator)
    directions = normalize(torch.randn(num_clusters, DIM, generator=generator), dim=1)
    noise = torch.randn(len(names), DIM, generator=generator) / DIM**0.5
    features = normalize(directions[labels] + noise, dim=1)
    return ClusteredImages(
        FileSource(root, names),
        labels.numpy(),
        features,
        cluster_means(features, labels, num_clusters),
    )


def sizes(folder: Path) -> list[tuple[str, int, float]]:
    """Kind, number of files, and megabytes of the content of a page's folder."""
    kinds = {
        "thumbnails (sheets)": "page/pictures/sheets/*",
        "four faces of each cluster": "page/pictures/faces/*",
        "outliers and duplicates": "page/pictures/[od]*/*",
        "facts of images": "page/data/members/*",
        "overview, map, lists": "page/data/*.js",
        "scripts and style": "page/assets/*",
        "clusters.csv": "clusters.csv",
        "clusters.parquet": "clusters.parquet",
        "contact_sheet.png": "contact_sheet.png",
    }
    rows = []
    for kind, pattern in kinds.items():
        files = [path.stat().st_size for path in folder.glob(pattern)]
        rows.append((kind, len(files), sum(files) / 1e6))
    everything = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return [*rows, ("all", len(everything), sum(everything) / 1e6)]


def first_paint(folder: Path) -> tuple[float, float]:
    """Median milliseconds from the start of loading to the first paint, and to the first cards."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options: Any = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,800"):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        times = []
        for _ in range(LOADS):
            browser.get("about:blank")
            browser.get((folder / "index.html").as_uri())
            times.append(browser.execute_async_script(PAINT))
    finally:
        browser.quit()
    paint, cards = (statistics.median(each) for each in zip(*times, strict=True))
    return paint, cards


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="N; %(default)s")
    parser.add_argument("--clusters", type=int, default=1000, help="C; %(default)s")
    parser.add_argument("--folder", type=Path, help="keep the images and the page in this folder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    given = parse(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        clustered = made_up(
            folder / "images", write_images(folder / "images", given.images), given.clusters
        )
        parts: list[tuple[str, float]] = []

        @contextmanager
        def timed(what: str) -> Iterator[None]:
            started = time.monotonic()
            yield
            parts.append((what, time.monotonic() - started))

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        page = folder / "page"
        built = build_cluster_page(clustered, page, PageSettings("benchmark"), timed)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        paint, cards = first_paint(page)
        title = f"The page of {given.images:,} images in {given.clusters:,} clusters"
        tables = [
            Table(
                title,
                ("part", "seconds"),
                [*parts, ("all", sum(seconds for _, seconds in parts))],
                f"Peak memory {(peak - before) / 2**20:.2f} GiB above the {before / 2**20:.2f} GiB "
                f"before it; {len(built.duplicates)} groups of near-duplicates.",
            ),
            Table("On the disk", ("what", "files", "MB"), [tuple(row) for row in sizes(page)]),
            Table(
                "In the browser",
                ("ms after the start of loading", "median"),
                [("first contentful paint", paint), ("the first 60 clusters are there", cards)],
                f"Median of {LOADS} loads.",
            ),
        ]
        print("\n\n".join(table.markdown() for table in tables))


if __name__ == "__main__":
    main()
