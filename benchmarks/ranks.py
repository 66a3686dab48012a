"""Section ``ranks``: the memory's step on several gloo processes, which share one batch.

Each rank compares its own share of the batch with the centroids. One all-gather exchanges the
results, and every rank writes all of them.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.axes import STEP_MS, axis_title
from benchmarks.processes import processes
from benchmarks.tables import NO_GPU, Cell, Table, Target
from benchmarks.terms import RANKS, Size, amounts, terms_table
from benchmarks.versions import Ours, new_memory
from odc_lightning.utils.distributed import all_gather_batch, shard

FULL, QUICK = Size(100_000, 10_000, 256, 512), Size(400, 20, 8, 16)
PARTS = ("propose", "all-gather", "write")
COLUMNS = (
    *("ranks", STEP_MS, "step / one rank's", *(f"{part} (ms)" for part in PARTS)),
    *("gather and write (ms)", "gather and write / one rank's"),
)


def measure(quick: bool) -> Iterator[Table | Target]:
    """A table with one row per number of ranks, measured in turns."""
    size, counts, rounds = (QUICK, (1, 2), 1) if quick else (FULL, (1, 2, 4), 3)
    runs: dict[int, list[list[float]]] = {ranks: [] for ranks in counts}
    for number in range(rounds):
        for ranks in counts[:: 1 if number % 2 == 0 else -1]:
            runs[ranks].append(seconds(size, ranks, repeats=1 if quick else 5))
    medians = {
        ranks: [statistics.median(part) for part in zip(*of_one, strict=True)]
        for ranks, of_one in runs.items()
    }
    rows: list[tuple[Cell, ...]] = []
    for ranks, (propose, gather, write) in medians.items():
        step, both = propose + gather + write, gather + write
        one, both_of_one = sum(medians[1]), sum(medians[1][1:])
        in_ms = (1e3 * part for part in (propose, gather, write))
        rows.append((ranks, 1e3 * step, step / one, *in_ms, 1e3 * both, both / both_of_one))
    on_gpus = "not measured: only gloo is" if torch.cuda.is_available() else NO_GPU
    rows.append(("on GPUs, by NCCL", on_gpus, *[None] * (len(COLUMNS) - 2)))
    note = (
        f"{size}, B over all ranks together; gloo, one thread a rank, on {os.cpu_count()} cores, "
        "which more ranks than that share."
    )
    yield Table(axis_title("ranks", "CPU"), COLUMNS, rows, note)
    yield terms_table("CPU", {RANKS: medians[2][1] / amounts(size, 2)[RANKS]})


def seconds(size: Size, ranks: int, repeats: int) -> list[float]:
    """Seconds of each of `PARTS` in a step, on rank 0: medians over repeats of k steps."""
    with tempfile.TemporaryDirectory() as folder:
        processes()
        arguments = size, ranks, repeats, folder
        mp.start_processes(_rank, arguments, nprocs=ranks, start_method="forkserver")
        return json.loads(Path(folder, "seconds.json").read_text(encoding="ascii"))


def _rank(rank: int, size: Size, ranks: int, repeats: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=ranks)
    ours = Ours(new_memory(size.samples, size.clusters, size.dim), size.batch)
    own = shard(size.batch, rank, ranks)
    found = []
    for repeat in range(repeats + 1):
        ours.draw(repeat)
        found.append([statistics.fmean(part) for part in zip(*_steps(ours, own), strict=True)])
    if rank == 0:
        medians = [statistics.median(part) for part in zip(*found[1:], strict=True)]
        Path(folder, "seconds.json").write_text(json.dumps(medians), encoding="ascii")
    dist.barrier()  # if a rank ends early, the others can wait for it forever
    dist.destroy_process_group()


def _steps(ours: Ours, own: slice) -> Iterator[list[float]]:
    """Seconds of the parts of each of the next k steps."""
    for indices, features in ours.batches:
        dist.barrier()
        times = [perf_counter()]
        mine = indices[own]
        updated, labels = ours.memory.propose(mine, features[own])
        times.append(perf_counter())
        batch = all_gather_batch(mine, updated, labels)
        times.append(perf_counter())
        ours.memory.write(*batch)
        times.append(perf_counter())
        yield [after - before for before, after in pairwise(times)]
