"""Memory for DeepCluster's features, compared with holding all of them.

Both versions whiten the same features, and are checked to agree before results are reported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.peaks import peak_of
from benchmarks.tables import Cell, Table
from odc_lightning.clustering import moments, project_rows, whitening
from odc_lightning.features.scratch import scratch_rows

BATCH = 256
PCA_SAMPLES = 10_000
COMPARED = 100  # rows whose pairwise cosines both versions must agree on
TOLERANCE = 1e-3


class Size(NamedTuple):
    """N samples with F features, reduced to D dimensions."""

    samples: int
    width: int
    dim: int


def batches(size: Size) -> Iterator[Tensor]:
    """Features whose dimensions differ in variance, so that PCA has structure to find."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(3, 0.1, size.width)
    for start in range(0, size.samples, BATCH):
        rows = min(BATCH, size.samples - start)
        yield torch.randn(rows, size.width, generator=generator) * scale


def sample(size: Size) -> Tensor:
    """The rows from which PCA is computed."""
    order = torch.randperm(size.samples, generator=torch.Generator().manual_seed(1))
    return order[:PCA_SAMPLES].sort().values


def ours(size: Size) -> Tensor:
    """The method of `OfflineClustering`: a file, sums over a sample, blocks."""
    with tempfile.TemporaryDirectory() as folder:
        with scratch_rows(batches(size), size.samples, Path(folder)) as raw:
            project = whitening(moments(raw, sample(size)), size.dim)
            out = torch.empty(size.samples, size.dim)
            project_rows(project, raw, out)
        return out


def obvious(size: Size) -> Tensor:
    """The method of DeepCluster's code: all features at once."""
    features = torch.cat(list(batches(size)))
    project = whitening(moments(features, sample(size)), size.dim)
    return normalize(project(features), dim=1)


def work(version: Callable[[Size], Tensor], size: Size) -> Callable[[], list[list[float]]]:
    """Run a version; the returned work gives some cosines."""

    def run() -> list[list[float]]:
        rows = version(size)[:COMPARED]
        return (rows @ rows.T).tolist()

    return run


def peaks(size: Size) -> tuple[int, int]:
    """Peak bytes of our version and of the obvious one, each in a new process.

    Raises:
        RuntimeError: the versions disagree, or one fails.
    """
    mine, theirs = (peak_of(partial(work, version), size) for version in (ours, obvious))
    gap = float((torch.tensor(mine.result) - torch.tensor(theirs.result)).abs().mean())
    if gap > TOLERANCE:
        raise RuntimeError(f"the two versions disagree at {size}: {gap:.3f}")
    return mine.peak, theirs.peak


def extraction_table(sizes: Sequence[Size]) -> Table:
    """The table of both versions' peaks, in MB."""
    rows: list[tuple[Cell, ...]] = []
    for size in sizes:
        mine, theirs = peaks(size)
        given = 4 * size.samples * size.width, 4 * size.samples * size.dim
        # A few rows fit into memory that the process already had.
        ratio = theirs / mine if mine > 0 else None
        rows.append((f"{size.samples:,}", *(each / 1e6 for each in (*given, mine, theirs)), ratio))
    width, dim = sizes[0][1:]
    return Table(
        "Peak memory of DeepCluster's features",
        (
            *("samples", "raw features (MB)", "result (MB)"),
            *("ours (MB)", "obvious (MB)", "obvious / ours"),
        ),
        rows,
        f"Features of width {width:,} are whitened to {dim}.",
    )
