"""What 10^6 to 10^9 samples need, by the terms that ``make bench`` has measured.

``python -m benchmarks.scale outputs/bench/bench.json`` prints Markdown. ``--term 'NAME=SECONDS'``
puts another machine's figure in the place of a measured one. Nothing here is measured at these
sizes: it is what follows from the terms, if none of them changes.
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
    """Bytes that every rank holds, by what they are for.

    Args:
        size: N, C, D, and B of all ranks together.
        ranks: R.
        feature_bytes: of a number of the samples memory: 4 in fp32, 2 in fp16.
    """
    samples, clusters, dim, batch = size
    return {
        "features": feature_bytes * samples * dim,
        "labels": 8 * samples,
        # Sums in fp64, centroids in fp32; sizes, involvement and offsets.
        "centroids and sums": (8 + 4) * clusters * dim + (8 + 1 + 4) * clusters,
        "similarities of a step": 4 * -(-batch // ranks) * clusters,
    }


def checkpoint_bytes(size: Size, feature_bytes: int) -> int:
    """Of the clustering in a checkpoint, which is written by one rank."""
    parts = replicated(size, 1, feature_bytes)
    return sum(parts.values()) - parts["similarities of a step"]


def to_shard(parts: Mapping[str, int], room: float, ranks: int) -> list[str] | None:
    """Which parts R ranks would have to divide among them, the largest first, to have room.

    Returns:
        Nothing if each rank has room for all; None if they have none even then.
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
    """Of R ranks, each with the whole memory.

    Attributes:
        step: seconds of the memory's part of a step, without what the network takes.
        traffic: bytes that a rank receives in a step.
        kmeans: seconds of the bootstrap's K-Means, which rank 0 computes alone.
        sharing: seconds in which the ranks exchange their features for the bootstrap.
        recomputation: seconds of the exact sums at the end of an epoch, by each rank for itself.
    """

    step: float
    traffic: float
    kmeans: float
    sharing: float
    recomputation: float


def cost(known: Mapping[str, float], size: Size, ranks: int) -> Cost:
    """What the present code takes, features in fp32.

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
            4 * samples * dim * known[terms.PASS],
        )
    except KeyError as error:
        (name,) = error.args
        raise ValueError(
            f"the term {name!r} is not known: measure it by `python -m benchmarks "
            f"{SECTIONS.get(name, 'memory')}`, or give it: --term '{name}=SECONDS'"
        ) from error


def sizes(clusters: int, dim: int, batch: int) -> list[Size]:
    """Each N with that C, and with as many images a cluster as the paper has."""
    return [
        Size(samples, number, dim, batch)
        for samples in SAMPLES
        for number in sorted({clusters, samples // IMAGES_PER_CLUSTER})
    ]


def memory_table(chosen: Sequence[Size], ranks: int, room: float) -> Table:
    """Bytes of every rank in GB, and what does not fit in ``room`` bytes."""
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
    """In words."""
    if sharded is None:
        return "no room, even if all is"
    return ", ".join(sharded) or "nothing"


def cost_table(known: Mapping[str, float], chosen: Sequence[Size], ranks: Sequence[int]) -> Table:
    """Time and traffic with each number of ranks."""
    rows: list[tuple[Cell, ...]] = []
    for size in chosen:
        for number in ranks:
            found = cost(known, size, number)
            rows.append(
                (
                    *(size.samples, size.clusters, number, 1e3 * found.step),
                    *(found.traffic / 1e6, found.kmeans / 3600, found.sharing / 60),
                    found.recomputation,
                )
            )
    return Table(
        "Time and traffic",
        (
            *("N", "C", "ranks", "memory's part of a step (ms)", "received in a step (MB)"),
            *("K-Means of the bootstrap, on rank 0 (h)", "sharing of its features (min)"),
            "exact sums of an epoch (s)",
        ),
        rows,
        f"D = {chosen[0].dim}, B = {chosen[0].batch:,} over all ranks; {ITERATIONS} iterations of "
        "K-Means. More ranks shorten the comparison with the centroids, and nothing else here.",
    )


def limits_table(dim: int, batch: int, clusters: int, ranks: int, room: float) -> Table:
    """The largest N of which each rank has room for all."""
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
    """The largest N of which each rank has room for all, by bisection.

    Args:
        dim, batch: D and B.
        clusters: C; None for as many as the paper has of N samples.
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
    """The command line; ``terms`` is what is known then."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("report", type=Path, nargs="?", help="a bench.json")
    parser.add_argument("--on", choices=("CPU", "GPU"), default="CPU", help="whose terms")
    parser.add_argument("--term", action="append", default=[], metavar="NAME=SECONDS")
    parser.add_argument("--clusters", type=int, default=10_000, help="C, beside N / 128")
    parser.add_argument("--dim", type=int, default=256, help="D")
    parser.add_argument("--batch", type=int, default=512, help="B, of all ranks together")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--room", type=float, default=80, help="GB that each rank has")
    return parser.parse_args(argv)


def given_terms(options: argparse.Namespace) -> dict[str, float]:
    """Of the report, and those of the command line in their place.

    Raises:
        ValueError: if there is no such report, or a term is not NAME=SECONDS.
    """
    known: dict[str, float] = {}
    if options.report is not None:
        if not options.report.is_file():
            raise ValueError(f"{options.report} is no file; `make bench` writes bench.json")
        content = json.loads(options.report.read_text(encoding="utf-8"))
        known = terms.read_terms(content, options.on)
    for text in options.term:
        name, _, number = text.rpartition("=")
        if name not in terms.ALL:
            raise ValueError(f"--term {text!r}: expected one of {', '.join(terms.ALL)}")
        known[name] = float(number)
    return known


def main(argv: Sequence[str] | None = None) -> None:
    """Compute and print."""
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
