"""Section ``sizes``: the memory's step and K-Means at ImageNet's size, and with ten million images.

The step is measured as in `benchmarks.memory`: beside its floor and the obvious full recompute,
with which its results are compared first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from benchmarks.axes import COLUMNS, made, missing, point
from benchmarks.gpu.facts import FP32, TF32, with_precision
from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.terms import Size
from benchmarks.timing import in_turns, wait
from benchmarks.versions import new_memory
from odc_lightning.callbacks.lifecycle.memory_digest import memory_digests
from odc_lightning.clustering import kmeans, nonempty_kmeans
from odc_lightning.memory import ClusterMemory

IMAGENET, TEN_MILLION = Size(1_281_167, 10_000, 256, 512), Size(10_000_000, 10_000, 256, 512)
TINY, MORE = Size(2000, 20, 8, 16), Size(4000, 20, 8, 16)
REPEATS = 3
ITERATIONS, FEWER_ITERATIONS = 20, 5  # as before the first step, and where kinds are compared


def measure(dry_run: bool) -> Iterator[Row]:
    """Steps, passes over the memory, K-Means, and the checkpoint."""
    device = "cpu" if dry_run else "cuda"
    base, large = (TINY, MORE) if dry_run else (IMAGENET, TEN_MILLION)
    for size in (base, large):
        yield attempt("The memory's step", f"N = {size.samples:,}", partial(step, size, device))
        empty_cache(device)
    for size in (base, large):
        if missing(size, device) is None:
            yield from with_one_memory(size, device, every=size is base)
            empty_cache(device)


def with_one_memory(size: Size, device: str, every: bool) -> Iterator[Row]:
    """Measurements on one memory; ``every`` one of them, or two that grow with N."""
    memory = new_memory(size.samples, size.clusters, size.dim, device)
    name, features = f"N = {size.samples:,}", memory.features
    yield attempt("Passes over the memory", name, partial(passes, memory))

    def clustered(kind: str, rows: Tensor, precision: str = FP32) -> Row:
        work = partial(timed_kmeans, rows, size.clusters, device, precision)
        return attempt(f"K-Means, {FEWER_ITERATIONS} iterations", f"{name}, {kind}", work)

    yield clustered("fp32", features)
    if every:
        yield clustered("TF32", features, TF32)
        yield clustered("features in fp16", features.half())
        yield clustered("features in RAM", features.cpu())
        work = partial(start, features, size.clusters, device)
        title = f"The bootstrap, {ITERATIONS} iterations"
        yield attempt(title, name, work, must=["no cluster is empty"])
        yield attempt("The memory's checkpoint", name, partial(checkpoint, memory))


def step(size: Size, device: str) -> Values:
    """The step and its parts in milliseconds, floor and obvious version."""
    if lacking := missing(size, device):
        return {"": lacking}
    threads = torch.get_num_threads()
    try:
        return dict(zip(COLUMNS, point(made(size, device), REPEATS).cells, strict=True))
    finally:
        torch.set_num_threads(threads)


def passes(memory: ClusterMemory) -> Values:
    """Milliseconds of what the callbacks do now and then."""
    digests, distances = in_turns([lambda: memory_digests(memory, 0), memory.distances], REPEATS)
    return {"digests (ms)": 1e3 * digests, "distances (ms)": 1e3 * distances}


def timed_kmeans(features: Tensor, clusters: int, device: str, precision: str) -> Values:
    """Seconds and inertia of K-Means, and what it needs beside the features."""
    on_gpu = device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if on_gpu else 0
    wait()
    begin = perf_counter()
    found = with_precision(
        precision, lambda: kmeans(features, clusters, iterations=FEWER_ITERATIONS, device=device)
    )
    wait()
    seconds = perf_counter() - begin
    peak = (torch.cuda.max_memory_allocated() - before) / 1e9 if on_gpu else None
    return {"seconds": seconds, "inertia": found.inertia, "peak above the features (GB)": peak}


def start(features: Tensor, clusters: int, device: str) -> Values:
    """Seconds of K-Means with the repair of empty clusters, as before the first step."""
    begin = perf_counter()
    where = torch.device(device)
    labels = nonempty_kmeans(features, clusters, ITERATIONS, 0, "auto", lambda: None, where)
    seconds = perf_counter() - begin
    smallest = int(torch.bincount(labels, minlength=clusters).min())
    return {"seconds": seconds, "no cluster is empty": smallest > 0}


def checkpoint(memory: ClusterMemory) -> Values:
    """Size of the memory's part of a checkpoint, and seconds to write and to read it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "memory.pt")
        begin = perf_counter()
        torch.save(memory.state_dict(), file)
        written = perf_counter()
        torch.load(file, map_location="cpu", weights_only=True)
        read = perf_counter()
        size = file.stat().st_size / 1e9
    return {"GB": size, "write (s)": written - begin, "read (s)": read - written}


def empty_cache(device: str) -> None:
    """Give back what torch keeps for later tensors."""
    if device == "cuda":
        torch.cuda.empty_cache()
