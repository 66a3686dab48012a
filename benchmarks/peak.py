"""Section ``peak``: memory that clustering needs beyond the features, each in its own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.cases import num_small, with_small_clusters
from benchmarks.extraction_memory import Size as ExtractionSize
from benchmarks.extraction_memory import extraction_table
from benchmarks.peaks import peak_of
from benchmarks.tables import NO_GPU, Cell, Table, Target
from benchmarks.versions import THRESHOLD, Ours, new_memory
from odc_lightning.clustering import Backend, kmeans, plan_relabelling

AT_MOST = 0.5  # of the features' bytes, for the bootstrap: never a second copy


class Size(NamedTuple):
    """N samples, C clusters, D dimensions; iterations of K-Means."""

    samples: int
    clusters: int
    dim: int
    iterations: int


FULL = Size(400_000, 200, 256, 2)
QUICK = Size(4000, 20, 16, 1)
EXTRACTIONS = [ExtractionSize(samples, 2048, 256) for samples in (20_000, 40_000, 80_000)]
QUICK_EXTRACTIONS = [ExtractionSize(600, 32, 8)]


def measure(quick: bool) -> Iterator[Table | Target]:
    """Peaks of the bootstrap's K-Means, an epoch's end, small clusters, and the extraction."""
    size = QUICK if quick else FULL
    features = 4 * size.samples * size.dim
    peaks = {
        "K-Means by faiss": peak_of(clustering, size, "faiss"),
        "K-Means by torch": peak_of(clustering, size, "torch"),
        "relabelling of small clusters": peak_of(relabelling, size),
    }
    rows: list[tuple[Cell, ...]] = [
        (name, features / 1e6, found.peak / 1e6, found.peak / features)
        for name, found in peaks.items()
    ]
    rows.append(("K-Means by torch on a GPU", *gpu_cells(size)))
    yield Table(
        "Peak memory beside the features",
        ("", "features (MB)", "peak above them (MB)", "peak / features"),
        rows,
        f"N = {size.samples:,}, C = {size.clusters:,}, D = {size.dim}; each in its own process, "
        "which holds the features (and the memory, if needed) before the measurement starts.",
    )
    for backend in ("faiss", "torch"):
        peak = peaks[f"K-Means by {backend}"].peak
        yield Target(f"memory of the bootstrap by {backend} / features", peak / features, AT_MOST)
    yield extraction_table(QUICK_EXTRACTIONS if quick else EXTRACTIONS)


def clustering(size: Size, backend: Backend) -> Callable[[], float]:
    """The bootstrap's K-Means; the returned work gives its inertia."""
    features = new_memory(size.samples, size.clusters, size.dim).features

    def work() -> float:
        return kmeans(features, size.clusters, iterations=size.iterations, backend=backend).inertia

    return work


def relabelling(size: Size) -> Callable[[], int]:
    """The plan for many small clusters; the returned work gives the number of splits."""
    ours = Ours(new_memory(size.samples, size.clusters, size.dim), batch=1)
    ours.set_labels(with_small_clusters(ours.labels, num_small(ours)))

    def work() -> int:
        return plan_relabelling(
            ours.features,
            ours.labels,
            ours.sizes(),
            ours.centroids,
            threshold=THRESHOLD,
            rng=np.random.default_rng(0),
        ).num_splits

    return work


def gpu_cells(size: Size) -> tuple[Cell, ...]:
    """The cells of the GPU's row, by torch's count of the GPU's memory."""
    import torch

    if not torch.cuda.is_available():
        return NO_GPU, None, None
    features = new_memory(size.samples, size.clusters, size.dim, "cuda").features
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    kmeans(features, size.clusters, iterations=size.iterations, backend="torch")
    peak = torch.cuda.max_memory_allocated() - before
    given = 4 * size.samples * size.dim
    return given / 1e6, peak / 1e6, peak / given
