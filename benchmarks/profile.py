"""Profile of the memory's step: ``python -m benchmarks.profile``.

Prints a Markdown table of torch's operations, by their own time. It needs only a `ClusterMemory`,
so it also profiles an older version of the package, if PYTHONPATH leads to one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch.nn.functional import normalize
from torch.profiler import ProfilerActivity, profile

import odc_lightning  # noqa: F401  # before torch, because it configures how OpenMP's threads wait
from benchmarks.tables import Table
from odc_lightning.clustering import loss_weights
from odc_lightning.memory import ClusterMemory

STEPS = 20
REFRESH_EVERY = 10


def step(memory: ClusterMemory, number: int, batch: int) -> None:
    """The calls of the callbacks in a step."""
    generator = torch.Generator().manual_seed(number)
    indices = torch.randint(memory.num_samples, (batch,), generator=generator)
    features = torch.randn(batch, memory.features.shape[1], generator=generator)
    loss_weights(memory.counts[memory.labels[indices]])
    memory.write(indices, *memory.propose(indices, features))
    if number % REFRESH_EVERY == 0:
        memory.set_centroids(memory.refreshed_centroids())
        memory.involved.zero_()
    bool((memory.counts <= 20).any())


def profiled(samples: int, clusters: int, dim: int, batch: int, most: int = 8) -> Table:
    """The most expensive operations of some steps, on one thread."""
    torch.set_num_threads(1)
    memory = ClusterMemory(samples, clusters, dim)
    generator = torch.Generator().manual_seed(0)
    for rows in memory.features.split(2**16):
        rows.copy_(normalize(torch.randn(rows.shape, generator=generator), dim=1))
    memory.initialize(torch.arange(samples) % clusters)
    for number in range(3):
        step(memory, number, batch)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for number in range(STEPS):
            step(memory, number, batch)
    events = sorted(found.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return Table(
        f"A step of the memory: {total / 1000 / STEPS:.1f} ms",
        ("operation", "ms a step", "share", "calls a step"),
        [
            (
                event.key,
                event.self_cpu_time_total / 1000 / STEPS,
                f"{event.self_cpu_time_total / total:.0%}",
                event.count / STEPS,
            )
            for event in events[:most]
        ],
        f"N = {samples:,}, C = {clusters:,}, D = {dim}, B = {batch}, one thread.",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_281_167, help="N")
    parser.add_argument("--clusters", type=int, default=10_000, help="C")
    parser.add_argument("--dim", type=int, default=256, help="D")
    parser.add_argument("--batch", type=int, default=512, help="B")
    options = parser.parse_args(arguments)
    table = profiled(options.samples, options.clusters, options.dim, options.batch)
    print(table.markdown())


if __name__ == "__main__":
    main()
