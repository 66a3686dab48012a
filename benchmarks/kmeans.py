"""Section ``kmeans``: the bootstrap's K-Means, compared with plain faiss and scikit-learn.

All start from random samples, use all samples, and run the same number of Lloyd iterations and a
final assignment. On two threads.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.tables import NO_GPU, Cell, Table, Target
from benchmarks.terms import KMEANS, terms_table
from benchmarks.timing import in_turns
from odc_lightning.clustering import Backend, kmeans

THREADS = 2
SEED = 0
BLOCK = 2**14  # samples of a product, for the floor
COLUMNS = ("", "seconds", "time / faiss", "time / floor", "inertia / faiss")


class Size(NamedTuple):
    """N samples, C clusters, D dimensions; Lloyd iterations."""

    samples: int
    clusters: int
    dim: int
    iterations: int

    def __str__(self) -> str:
        return (
            f"N = {self.samples:,}, C = {self.clusters:,}, D = {self.dim}, {self.iterations} "
            "iterations"
        )

    @property
    def flops(self) -> int:
        """Operations in the products of all samples with all centroids."""
        return 2 * self.samples * self.clusters * self.dim * (self.iterations + 1)


FULL = [Size(50_000, 500, 64, 10), Size(200_000, 1000, 256, 5)]
QUICK = [Size(1000, 10, 8, 3)]


def measure(quick: bool) -> Iterator[Table | Target]:
    """A table of times and inertia for each size."""
    import faiss

    sizes, repeats = (QUICK, 1) if quick else (FULL, 3)
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    for size in sizes:
        yield from compared(size, repeats)


def compared(size: Size, repeats: int) -> Iterator[Table | Target]:
    """Time all versions in turns."""
    features = clustered(size)
    inertia: dict[str, float] = {}

    def version(name: str, run: Callable[[Tensor, Size], float]) -> Callable[[], None]:
        def step() -> None:
            inertia[name] = run(features, size)

        return step

    versions = {
        "faiss": plain_faiss,
        "faiss once more": plain_faiss,
        "ours (auto)": ours("auto"),
        "ours by torch": ours("torch"),
        "scikit-learn": scikit_learn,
    }
    if torch.cuda.is_available():
        on_gpu = features.cuda()
        versions["ours by torch, GPU"] = lambda _, size: ours("torch")(on_gpu, size)
    steps = [version(name, run) for name, run in versions.items()]
    *times, floor = in_turns([*steps, lambda: products(features, size)], repeats)
    seconds = dict(zip(versions, times, strict=True))
    rows: list[tuple[Cell, ...]] = [
        (
            *(name, seconds[name], seconds[name] / seconds["faiss"], seconds[name] / floor),
            inertia[name] / inertia["faiss"],
        )
        for name in versions
    ]
    if not torch.cuda.is_available():
        rows.append(("ours by torch, GPU", NO_GPU, None, None, None))
    rows.append(("floor", floor, floor / seconds["faiss"], 1, None))
    note = (
        f"{size}; {THREADS} threads. Faiss is listed twice, to show the noise. The floor is the "
        "products of all samples with the centroids, and nothing else."
    )
    yield Table(f"K-Means, {size}", COLUMNS, rows, note)
    ratios = {
        "time": (seconds["ours (auto)"] / seconds["faiss"], 1.0),
        "inertia": (inertia["ours (auto)"] / inertia["faiss"], 1.01),
    }
    for name, (ratio, at_most) in ratios.items():
        yield Target(f"K-Means: {name} of ours (auto) / of faiss, {size}", ratio, at_most)
    # The largest size comes last; its terms replace the others.
    yield terms_table("CPU", {KMEANS: seconds["ours (auto)"] / size.flops})
    if torch.cuda.is_available():
        yield terms_table("GPU", {KMEANS: seconds["ours by torch, GPU"] / size.flops})


def clustered(size: Size) -> Tensor:
    """Features (N, D) around two directions per cluster."""
    generator = torch.Generator().manual_seed(SEED)
    directions = torch.randn(2 * size.clusters, size.dim, generator=generator)
    chosen = torch.randint(len(directions), (size.samples,), generator=generator)
    noise = torch.randn(size.samples, size.dim, generator=generator)
    return torch.nn.functional.normalize(directions[chosen] + 0.5 * noise, dim=1)


def ours(backend: Backend) -> Callable[[Tensor, Size], float]:
    """The bootstrap's K-Means; returns its inertia, like all versions here."""

    def run(features: Tensor, size: Size) -> float:
        found = kmeans(
            features, size.clusters, iterations=size.iterations, seed=SEED, backend=backend
        )
        return found.inertia

    return run


def plain_faiss(features: Tensor, size: Size) -> float:
    """faiss as in its documentation, without subsampling."""
    import faiss

    points = features.numpy()
    found = faiss.Kmeans(
        size.dim,
        size.clusters,
        niter=size.iterations,
        seed=SEED,
        max_points_per_centroid=len(points),
        min_points_per_centroid=1,
    )
    found.train(points)
    distances, _ = found.index.search(points, 1)
    return float(distances.sum(dtype="float64"))


def scikit_learn(features: Tensor, size: Size) -> float:
    """scikit-learn's Lloyd algorithm, without early stopping."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(
            size.clusters,
            algorithm="lloyd",
            init="random",
            n_init=1,
            max_iter=size.iterations,
            tol=0,
            random_state=SEED,
        ).fit(features.numpy())
    return float(found.inertia_)


def products(features: Tensor, size: Size) -> None:
    """Only the products, in blocks whose memory is used again."""
    centroids = features[: size.clusters]
    room = features.new_empty(BLOCK, size.clusters, device=features.device)
    for _ in range(size.iterations + 1):
        for rows in features.split(BLOCK):
            torch.mm(rows, centroids.T, out=room[: len(rows)])
