"""Section ``memory``: the samples memory on the device beside that on the CPU.

The features lie in each place and precision. Rounding differs between devices, so labels may differ
where two centroids are almost equally near. The same steps on one device give the same sums to the
bit, because these are integers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.terms import Size
from odc_lightning.callbacks.lifecycle.memory_digest import digest
from odc_lightning.clustering import plan_relabelling
from odc_lightning.features.placement import PLACES, PRECISIONS, Place, Precision, allocate
from odc_lightning.memory import STATE, ClusterMemory

FULL, TINY = Size(20_000, 200, 64, 512), Size(400, 8, 8, 16)
STEPS = 40
REFRESH_EVERY = 10
REPEATS = 4
# Shares and distances that rounding may cost: a label that differs moves two centroids a little.
EQUAL_LABELS, MOVED_CENTROIDS = 0.99, 0.05
THRESHOLD = 20


def measure(dry_run: bool) -> Iterator[Row]:
    """Places and precisions, repeated steps, and the repair of small clusters."""
    size, device = (TINY, "cpu") if dry_run else (FULL, "cuda")
    for place in PLACES:
        for precision in PRECISIONS:
            work = partial(beside_the_cpu, size, device, place, precision)
            title = "Memory on the device and on the CPU"
            yield attempt(title, f"{place}, {precision}", work, must=["agree"])
    work = partial(repeated, size, device)
    yield attempt("Equal to the bit", f"{REPEATS} times the same steps", work, must=STATE)
    work = partial(repaired, size, device)
    yield attempt("Small clusters", "a tenth of them small", work, must=["all are normal"])


def stepped(
    size: Size, device: str, place: Place = "device", precision: Precision = "float32"
) -> ClusterMemory:
    """A memory after `STEPS` steps, the same on every device but for rounding."""
    samples, clusters, dim, batch = size
    generator = torch.Generator().manual_seed(0)
    start = normalize(torch.randn(samples, dim, generator=generator), dim=1)
    folder = Path(tempfile.gettempdir())
    rows = allocate(samples, dim, precision, place, torch.device(device), folder)
    memory = ClusterMemory(samples, clusters, dim, device=device, features=rows)
    memory.features.copy_(start)
    memory.initialize((torch.arange(samples) % clusters).to(device))
    for step in range(1, STEPS + 1):
        on_host = torch.randint(samples, (batch,), generator=generator)
        indices = on_host.to(device)
        features = torch.randn(batch, dim, generator=generator).to(device)
        memory.prefetch(indices, on_host)
        memory.write(indices, *memory.propose(indices, features))
        if step % REFRESH_EVERY == 0:
            memory.set_centroids(memory.refreshed_centroids())
            memory.involved.zero_()
    return memory


def beside_the_cpu(size: Size, device: str, place: Place, precision: Precision) -> Values:
    """How a memory on the device differs from one on the CPU of the same precision."""
    ours = stepped(size, device, place, precision)
    reference = stepped(size, "cpu", "ram", precision)
    labels = float((ours.labels.cpu() == reference.labels).float().mean())
    moved = float((ours.centroids.cpu() - reference.centroids).norm(dim=1).max())
    return {
        "equal labels": labels,
        "largest distance of centroids": moved,
        "largest distance to the own centroid": float(ours.distances().max()),
        "agree": labels >= EQUAL_LABELS and moved <= MOVED_CENTROIDS,
    }


def repeated(size: Size, device: str) -> Values:
    """Whether the same steps give the same tensors, each by its digest."""
    found = []
    for _ in range(REPEATS):
        memory = stepped(size, device)
        found.append({name: int(digest(getattr(memory, name))) for name in STATE})
    return {name: len({digests[name] for digests in found}) == 1 for name in STATE}


def repaired(size: Size, device: str) -> Values:
    """The repair of a tenth of the clusters, which are made small."""
    memory = stepped(size, device)
    labels = torch.arange(size.samples, device=device) % size.clusters
    few = max(1, size.clusters // 10)
    labels[labels < few] = size.clusters - 1
    plan = plan_relabelling(
        memory.features,
        labels,
        torch.bincount(labels, minlength=size.clusters),
        memory.centroids,
        threshold=THRESHOLD,
        rng=np.random.default_rng(0),
    )
    labels[plan.indices.to(device)] = plan.labels.to(device)
    smallest = int(torch.bincount(labels, minlength=size.clusters).min())
    return {
        "splits": plan.num_splits,
        "moved images": len(plan.indices),
        "smallest cluster": smallest,
        "all are normal": smallest > THRESHOLD,
    }
