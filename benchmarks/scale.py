"""Estimated time and memory for 10^6 to 10^9 samples, from the terms that ``make bench`` measures.

``python -m benchmarks.scale outputs/bench/bench.json`` prints Markdown. ``--term 'NAME=SECONDS'``
replaces a measured term, for example by that of another machine. Nothing is measured at these
sizes: the estimates follow from the terms, if these stay constant.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import terms
from benchmarks.tables import Cell, Table
from benchmarks.terms import Size
from odc_lightning.clustering.small_clusters import IMAGES_PER_CLUSTER

SAMPLES = (10**6, 10**7, 10**8, 10**9)
ITERATIONS = 20  # of the bootstrap's K-Means
SECTIONS = {terms.KMEANS: "kmeans", terms.RANKS: "ranks"}


def replicated(size: Size, ranks: int, feature_bytes: int) -> dict[str, int]:
    """Bytes that every rank holds, by purpose.

    Args:
        size: N, C, D, and B of all ranks together.
        ranks: R.
        feature_bytes: bytes per number in the samples memory: 4 in fp32, 2 in fp16.
    """
    samples, clusters, dim, batch = size
    return {
        "features": feature_bytes * samples * dim,
        "labels": 8 * samples,
        # Sums in int64, centroids in fp32; sizes, involvement and offsets.
        "centroids and sums": (8 + 4) * clusters * dim + (8 + 1 + 4) * clusters,
        "similarities of a step": 4 * -(-batch // ranks) * clusters,
    }


def checkpoint_bytes(size: Size, feature_bytes: int) -> int:
    """Bytes of the clustering in a checkpoint, which one rank writes."""
    parts = replicated(size, 1, feature_bytes)
    return sum(parts.values()) - parts["similarities of a step"]


def to_shard(parts: Mapping[str, int], room: float, ranks: int) -> list[str] | None:
    """The parts that R ranks would have to shard, largest first, so that all parts fit.

    Returns:
        An empty list if all parts fit on each rank; None if they do not fit even when sharded.
    """
    sharded: list[str] = []
    left = dict(parts)
    for name in [None, *sorted(parts, key=lambda name: -parts[name])]:
        if name is not None:
            left[name] = -(-parts[name] // ranks)
            sharded.append(name)
        if sum(left.values()) <= room:
            return sharded
    return None


class Cost(NamedTuple):
    """The cost on R ranks, each with the whole memory.

    Attributes:
        step: seconds of the memory's part of a step, without the network's.
        traffic: bytes that a rank receives in a step.
        kmeans: seconds of the bootstrap's K-Means, which rank 0 computes alone.
        sharing: seconds in which the ranks exchange their features for the bootstrap.
    """

    step: float
    traffic: float
    kmeans: float
    sharing: float


def cost(known: Mapping[str, float], size: Size, ranks: int) -> Cost:
    """The cost of the present code, with features in fp32.

    Args:
        known: terms, see `benchmarks.terms`.
        size: N, C, D, and B of all ranks together.
        ranks: R.

    Raises:
        ValueError: a term is missing.
    """
    samples, clusters, dim, _ = size
    flops = 2 * samples * clusters * dim * (ITERATIONS + 1)
    received = 4 * samples * dim * (ranks - 1) / ranks
    try:
        return Cost(
            terms.step_seconds(known, size, ranks),
            terms.amounts(size, ranks)[terms.RANKS],
            flops * known[terms.KMEANS],
            received * known[terms.RANKS] if received else 0.0,
        )
    except KeyError as error:
        (name,) = error.args
        raise ValueError(
            f"the term {name!r} is not known: measure it with `python -m benchmarks "
            f"{SECTIONS.get(name, 'memory')}`, or give it with --term '{name}=SECONDS'"
        ) from error


def sizes(clusters: int, dim: int, batch: int) -> list[Size]:
    """Each N with that C, and with as many images per cluster as in the paper."""
    return [
        Size(samples, number, dim, batch)
        for samples in SAMPLES
        for number in sorted({clusters, samples // IMAGES_PER_CLUSTER})
    ]


def memory_table(chosen: Sequence[Size], ranks: int, room: float) -> Table:
    """A table of each rank's memory in GB, and of the parts that do not fit in ``room`` bytes."""
    rows: list[tuple[Cell, ...]] = []
    for size in chosen:
        whole, half = (replicated(size, ranks, feature_bytes) for feature_bytes in (4, 2))
        shown = [whole["features"], half["features"], *list(whole.values())[1:]]
        totals = [sum(whole.values()), sum(half.values())]
        checkpoints = [checkpoint_bytes(size, feature_bytes) for feature_bytes in (4, 2)]
        rows.append(
            (
                *(size.samples, size.clusters),
                *(each / 1e9 for each in (*shown, *totals, *checkpoints)),
                *(said(to_shard(parts, room, ranks)) for parts in (whole, half)),
            )
        )
    _, *names = replicated(chosen[0], ranks, 4)
    return Table(
        f"What each of {ranks} ranks holds (GB), beside the network",
        (
            *("N", "C", "features, fp32", "features, fp16", *names, "all, fp32", "all, fp16"),
            *("checkpoint, fp32", "checkpoint, fp16"),
            *(f"to shard for {room / 1e9:g} GB, {precision}" for precision in ("fp32", "fp16")),
        ),
        rows,
        f"D = {chosen[0].dim}, B = {chosen[0].batch:,}.",
    )


def said(sharded: list[str] | None) -> str:
    """The parts to shard as text."""
    if sharded is None:
        return "no room, even if all is"
    return ", ".join(sharded) or "nothing"


def cost_table(known: Mapping[str, float], chosen: Sequence[Size], ranks: Sequence[int]) -> Table:
    """A table of time and traffic for each number of ranks."""
    rows: list[tuple[Cell, ...]] = []
    for size in chosen:
        for number in ranks:
            found = cost(known, size, number)
            rows.append(
                (
                    *(size.samples, size.clusters, number, 1e3 * found.step),
                    *(found.traffic / 1e6, found.kmeans / 3600, found.sharing / 60),
                )
            )
    return Table(
        "Time and traffic",
        (
            *("N", "C", "ranks", "memory's part of a step (ms)", "received in a step (MB)"),
            *("K-Means of the bootstrap, on rank 0 (h)", "sharing of its features (min)"),
        ),
        rows,
        f"D = {chosen[0].dim}, B = {chosen[0].batch:,} over all ranks; {ITERATIONS} iterations of "
        "K-Means. More ranks shorten the comparison with the centroids, and nothing else here.",
    )


def limits_table(dim: int, batch: int, clusters: int, ranks: int, room: float) -> Table:
    """A table of the largest N that fits on each rank."""
    rows: list[tuple[Cell, ...]] = []
    for name, number in ((f"C = {clusters:,}", clusters), (f"C = N / {IMAGES_PER_CLUSTER}", None)):
        fitting = [
            largest_samples(dim, batch, number, ranks, room, feature_bytes)
            for feature_bytes in (4, 2)
        ]
        rows.append((name, *fitting))
    title = f"The largest N that fits into {room / 1e9:g} GB of each rank"
    return Table(title, ("", "fp32", "fp16"), rows)


def largest_samples(
    dim: int, batch: int, clusters: int | None, ranks: int, room: float, feature_bytes: int
) -> int:
    """The largest N that fits on each rank, by bisection.

    Args:
        dim, batch: D and B.
        clusters: C; None for as many images per cluster as in the paper.
        ranks: R.
        room: bytes.
        feature_bytes: see `replicated`.
    """
    low, high = 0, int(room)
    while low < high:
        middle = (low + high + 1) // 2
        number = middle // IMAGES_PER_CLUSTER if clusters is None else clusters
        parts = replicated(Size(middle, number, dim, batch), ranks, feature_bytes)
        low, high = (middle, high) if sum(parts.values()) <= room else (low, middle - 1)
    return low


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("report", type=Path, nargs="?", help="a bench.json")
    parser.add_argument("--on", choices=("CPU", "GPU"), default="CPU", help="device of the terms")
    parser.add_argument(
        "--term",
        action="append",
        default=[],
        metavar="NAME=SECONDS",
        help="replaces a measured term",
    )
    parser.add_argument("--clusters", type=int, default=10_000, help="C, in addition to N / 128")
    parser.add_argument("--dim", type=int, default=256, help="D")
    parser.add_argument("--batch", type=int, default=512, help="B, of all ranks together")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 8, 64], help="numbers of ranks")
    parser.add_argument("--room", type=float, default=80, help="memory of each rank in GB")
    return parser.parse_args(argv)


def given_terms(options: argparse.Namespace) -> dict[str, float]:
    """The terms of the report, replaced by those of the command line.

    Raises:
        ValueError: the report does not exist, or a term is not NAME=SECONDS.
    """
    known: dict[str, float] = {}
    if options.report is not None:
        if not options.report.is_file():
            raise ValueError(f"{options.report} is not a file; `make bench` writes bench.json")
        content = json.loads(options.report.read_text(encoding="utf-8"))
        known = terms.read_terms(content, options.on)
    for text in options.term:
        name, _, number = text.rpartition("=")
        if name not in terms.ALL:
            raise ValueError(f"--term {text!r}: expected one of {', '.join(terms.ALL)}")
        known[name] = float(number)
    return known


def main(argv: Sequence[str] | None = None) -> None:
    """Compute and print the tables."""
    options = parse(argv)
    room = options.room * 1e9
    chosen = sizes(options.clusters, options.dim, options.batch)
    most = max(options.ranks)
    try:
        known = given_terms(options)
        times = cost_table(known, chosen, options.ranks)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    tables = [
        terms.terms_table(options.on, known),
        memory_table(chosen, most, room),
        limits_table(options.dim, options.batch, options.clusters, most, room),
        times,
    ]
    print("\n\n".join(table.markdown() for table in tables))


if __name__ == "__main__":
    main()
