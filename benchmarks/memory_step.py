"""One step of the memory beside the obvious one, which recomputes every mean and every size.

``python -m benchmarks.memory_step`` prints Markdown tables. The obvious version finds sizes and
centroids anew from all labels and features, O(N) and O(N D), as the authors' code does. The two
are held against each other before anything is timed, and are timed in turns, so that whatever else
the machine does meets both. On a CPU that others use too, ``OMP_NUM_THREADS=1`` is steadier.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering import assign, loss_weights, plan_relabelling, two_means
from odc_lightning.memory import ClusterMemory

MOMENTUM = 0.5
REFRESH_EVERY = 10  # k
THRESHOLD = 20
NUM_SMALL = 100
TOLERANCE = 1e-5
SEED = 0
BLOCK = 2**16  # samples made at once


class Batch(NamedTuple):
    """Distinct ``indices`` (B,) int64 and the network's ``features`` (B, D) for them."""

    indices: Tensor
    features: Tensor


class Version(ABC):
    """The parts of an iteration, on the batch that `draw` chose.

    Attributes:
        features: (N, D) fp32.
        labels: (N,) int64.
        centroids: (C, D) fp32.
    """

    def __init__(self, features: Tensor, labels: Tensor, centroids: Tensor, batch: int) -> None:
        self.features, self.labels, self.centroids = features, labels, centroids
        self.batch_size = batch
        self.draw(0)

    def draw(self, seed: int) -> None:
        """Choose the batches of the next k iterations, the same in every version of one size."""
        generator = torch.Generator().manual_seed(seed)
        num_samples, dim = self.features.shape
        size = REFRESH_EVERY * self.batch_size
        indices = torch.randperm(num_samples, generator=generator)[:size]
        features = torch.randn(size, dim, generator=generator)
        self.batches = [
            Batch(*pair)
            for pair in zip(
                indices.split(self.batch_size), features.split(self.batch_size), strict=True
            )
        ]
        self.batch = self.batches[0]

    @abstractmethod
    def sizes(self) -> Tensor:
        """Cluster sizes (C,) int64."""

    @abstractmethod
    def update(self) -> None:
        """Eq. 2 and Eq. 3 for the batch."""

    @abstractmethod
    def refresh(self) -> Tensor:
        """Set the centroids (C, D) to the means of their members."""

    @abstractmethod
    def deal_with_small(self) -> Tensor:
        """Relabel until no cluster is small; returns the labels (N,)."""

    @abstractmethod
    def set_labels(self, labels: Tensor) -> None:
        """Take over other labels (N,)."""

    def update_and_count(self) -> Tensor:
        """As `update`, and the sizes (C,) after it."""
        self.update()
        return self.sizes()

    def weights(self) -> Tensor:
        """Loss weights (B,)."""
        return loss_weights(self.sizes()[self.labels[self.batch.indices]])

    def any_small(self) -> bool:
        """Whether some cluster is small."""
        return bool((self.sizes() <= THRESHOLD).any())

    def iterate(self) -> Tensor:
        """k whole iterations: each with its own batch, the last with a refresh."""
        for batch in self.batches:
            self.batch = batch
            self.weights()
            self.update()
            self.any_small()
        return self.refresh()

    def state(self) -> list[Tensor]:
        """What two versions must agree on."""
        indices = torch.cat([batch.indices for batch in self.batches])
        return [self.labels, self.sizes(), self.centroids, self.features[indices]]


class Ours(Version):
    """What the callbacks do with a `ClusterMemory`."""

    def __init__(self, memory: ClusterMemory, batch: int) -> None:
        self.memory = memory
        super().__init__(memory.features, memory.labels, memory.centroids, batch)

    def sizes(self) -> Tensor:
        return self.memory.counts

    def update(self) -> None:
        self.memory.write(self.batch.indices, *self.memory.propose(*self.batch))

    def refresh(self) -> Tensor:
        self.memory.set_centroids(self.memory.refreshed_centroids("all"))
        return self.centroids

    def deal_with_small(self) -> Tensor:
        plan = plan_relabelling(
            self.features,
            self.labels,
            self.sizes(),
            self.centroids,
            threshold=THRESHOLD,
            rng=np.random.default_rng(SEED),
        )
        self.memory.relabel(plan.indices, plan.labels)
        return self.labels

    def set_labels(self, labels: Tensor) -> None:
        moved = (self.labels != labels).nonzero().flatten()
        self.memory.relabel(moved, labels[moved])


class Obvious(Version):
    """Features, labels and centroids alone; all else is found from them when it is needed."""

    def sizes(self) -> Tensor:
        return torch.bincount(self.labels, minlength=len(self.centroids))

    def update(self) -> None:
        indices, features = self.batch
        updated = (1 - MOMENTUM) * self.features[indices] + MOMENTUM * normalize(features, dim=1)
        self.features[indices] = updated
        self.labels[indices] = assign(updated, self.centroids)

    def product(self) -> Tensor:
        """Similarities (B, C) alone, which no version can do without."""
        return self.batch.features @ self.centroids.T

    def refresh(self) -> Tensor:
        sizes = self.sizes().unsqueeze(1)
        sums = torch.zeros_like(self.centroids).index_add_(0, self.labels, self.features)
        self.centroids = torch.where(sizes > 0, sums / sizes, self.centroids)
        return self.centroids

    def refresh_by_sorting(self) -> Tensor:
        """As `refresh`: the samples sorted by cluster, then one mean after another."""
        sizes = self.sizes()
        members = self.labels.argsort().split(sizes.tolist())
        means = torch.stack([self.features[own].mean(dim=0) for own in members])
        self.centroids = torch.where(sizes.unsqueeze(1) > 0, means, self.centroids)
        return self.centroids

    def deal_with_small(self) -> Tensor:
        """A pass over all labels for every cluster that is emptied, sought, split or filled."""
        rng = np.random.default_rng(SEED)  # drawn from in the order of ours
        while self.any_small():
            is_small = self.sizes() <= THRESHOLD
            small, normal = is_small.nonzero().flatten(), (~is_small).nonzero().flatten()
            for slot in small:
                members = (self.labels == slot).nonzero().flatten()
                nearest = assign(self.features[members], self.centroids[normal])
                self.labels[members] = normal[nearest]
            for slot in small:
                largest = int(self.sizes().numpy().argmax())  # the lowest number, if several
                members = (self.labels == largest).nonzero().flatten()
                half = two_means(self.features[members], rng)
                self.labels[members[~half if rng.integers(2) == 0 else half]] = slot
        return self.labels

    def set_labels(self, labels: Tensor) -> None:
        self.labels.copy_(labels)


Step = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """Two steps to be timed in turns.

    Attributes:
        name: its line in the table.
        step: the one that ought to be quick.
        against: the one that it is measured by.
        prepare: called with the number of the repeat before it, and not timed.
        iterations: in a call of each of the two; times are of one iteration.
    """

    name: str
    step: Step
    against: Step
    prepare: Callable[[int], None]
    iterations: int = 1


@dataclass(frozen=True)
class Row:
    """Medians of a case in milliseconds, and ``against_ms / step_ms``."""

    name: str
    step_ms: float
    against_ms: float
    ratio: float


def cases(ours: Ours, obvious: Obvious) -> list[Case]:
    """Ours beside the obvious version, part by part."""
    small = min(NUM_SMALL, len(ours.centroids) // 4)
    damaged = with_small_clusters(ours.labels, small)

    def draw(repeat: int) -> None:
        ours.draw(repeat)
        obvious.draw(repeat)

    def damage(repeat: int) -> None:
        ours.set_labels(damaged)
        obvious.set_labels(damaged)

    return [
        Case("sample update", ours.update_and_count, obvious.update_and_count, draw),
        Case("loss re-weighting", ours.weights, obvious.weights, draw),
        Case("small-cluster check, none small", ours.any_small, obvious.any_small, draw),
        Case("centroid refresh", ours.refresh, obvious.refresh, draw),
        Case("centroid refresh, by sorting", ours.refresh, obvious.refresh_by_sorting, draw),
        Case(f"iteration, k = {REFRESH_EVERY}", ours.iterate, obvious.iterate, draw, REFRESH_EVERY),
        Case(f"{small} small clusters", ours.deal_with_small, obvious.deal_with_small, damage),
    ]


def floor_case(ours: Ours, obvious: Obvious) -> Case:
    """Our sample update by the bare product with the centroids."""
    return Case("sample update", obvious.product, ours.update, ours.draw)


def flat_cases(few: Ours, many: Ours) -> list[Case]:
    """Our own parts at two numbers of samples."""

    def draw(repeat: int) -> None:
        few.draw(repeat)
        many.draw(repeat)

    return [
        Case("sample update", few.update, many.update, draw),
        Case("loss re-weighting", few.weights, many.weights, draw),
        Case("small-cluster check", few.any_small, many.any_small, draw),
        Case("centroid refresh", few.refresh, many.refresh, draw),
        Case(f"iteration, k = {REFRESH_EVERY}", few.iterate, many.iterate, draw, REFRESH_EVERY),
    ]


def new_memory(num_samples: int, num_clusters: int, dim: int) -> ClusterMemory:
    """Clusters of equal size around random directions."""
    generator = torch.Generator().manual_seed(SEED)
    memory = ClusterMemory(num_samples, num_clusters, dim, momentum=MOMENTUM)
    labels = torch.randperm(num_samples, generator=generator) % num_clusters
    directions = torch.randn(num_clusters, dim, generator=generator)
    for rows, names in zip(memory.features.split(BLOCK), labels.split(BLOCK), strict=True):
        noise = torch.randn(rows.shape, generator=generator)
        rows.copy_(normalize(directions[names] + noise, dim=1))
    memory.initialize(labels)
    return memory


def with_small_clusters(labels: Tensor, number: int) -> Tensor:
    """Labels (N,) with the first clusters small: most of their members are in the next ones."""
    labels = labels.clone()
    for cluster in range(number):
        members = (labels == cluster).nonzero().flatten()
        labels[members[THRESHOLD // 2 :]] = number + cluster
    return labels


def check(case: Case, ours: Ours, obvious: Obvious) -> None:
    """Refuse to time versions that do not do the same."""
    case.prepare(0)
    results = case.step(), case.against()
    states = ours.state(), obvious.state()
    torch.testing.assert_close(
        [results[0], *states[0]],
        [results[1], *states[1]],
        rtol=0,
        atol=TOLERANCE,
        msg=lambda difference: f"{case.name}: ours and the obvious one differ. {difference}",
    )


def measure(case: Case, repeats: int) -> Row:
    """Time both steps of a case in turns, either one first."""
    steps = (case.step, case.against)
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(-1, repeats):
        case.prepare(repeat + 1)
        for which in (0, 1) if repeat % 2 == 0 else (1, 0):
            start = perf_counter()
            steps[which]()
            times[which].append(1000 * (perf_counter() - start) / case.iterations)
    # The first repeat warms caches and threads.
    step_ms, against_ms = (statistics.median(of_one[1:]) for of_one in times)
    return Row(case.name, step_ms, against_ms, against_ms / step_ms)


def table(heads: tuple[str, str, str], rows: Sequence[Row]) -> str:
    """A Markdown table; ``heads`` are those of both times and of their ratio."""
    cells = [
        ["part", f"{heads[0]} (ms)", f"{heads[1]} (ms)", heads[2]],
        ["---", "---:", "---:", "---:"],
        *([r.name, f"{r.step_ms:.3f}", f"{r.against_ms:.3f}", f"{r.ratio:.2f}"] for r in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def machine() -> dict[str, str | int | float]:
    """Where it was measured, and how busy that was at the start."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_step", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--samples", type=int, default=1_281_167, help="N (default: ImageNet's)")
    parser.add_argument("--clusters", type=int, default=10_000, help="C (default: 10000)")
    parser.add_argument("--dim", type=int, default=256, help="D (default: 256)")
    parser.add_argument("--batch", type=int, default=512, help="B (default: 512)")
    parser.add_argument("--repeats", type=int, default=15, help="of each step (default: 15)")
    parser.add_argument(
        "--flat-samples",
        type=int,
        nargs="+",
        default=[100_000, 1_000_000],
        metavar="N",
        help="smaller N to show that ours does not grow (default: 100000 1000000)",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there too")
    args = parser.parse_args(argv)
    if args.samples <= args.clusters * 2 * THRESHOLD:
        parser.error(f"--samples must be more than {2 * THRESHOLD} times --clusters")
    if min(*args.flat_samples, args.samples) < max(args.clusters, REFRESH_EVERY * args.batch):
        parser.error(f"too few samples: give at least C and {REFRESH_EVERY} B of them")
    if args.clusters < 4 or args.repeats < 1:
        parser.error("--clusters must be at least 4 and --repeats at least 1")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Check, measure, print."""
    args = parse(argv)
    report: dict[str, Any] = {"machine": machine(), "settings": vars(args) | {"json": None}}
    report["tables"] = tables = {}

    def show(title: str, heads: tuple[str, str, str], chosen: Sequence[Case]) -> None:
        rows = []
        for case in chosen:
            print(f"{title}: {case.name} ...", file=sys.stderr)
            rows.append(measure(case, args.repeats))
        print(f"\n### {title}\n\n{table(heads, rows)}")
        tables[title] = [asdict(row) for row in rows]

    print(", ".join(f"{name} {value}" for name, value in report["machine"].items()))
    print(f"N = {args.samples:,}, C = {args.clusters:,}, D = {args.dim}, B = {args.batch}")

    ours = Ours(new_memory(args.samples, args.clusters, args.dim), args.batch)
    obvious = Obvious(
        ours.features.clone(), ours.labels.clone(), ours.centroids.clone(), args.batch
    )
    parts = cases(ours, obvious)
    for case in parts:
        check(case, ours, obvious)
    show("Ours beside the obvious", ("ours", "obvious", "obvious / ours"), parts)
    show(
        "Ours beside the bare product",
        ("product", "ours", "ours / product"),
        [floor_case(ours, obvious)],
    )
    del obvious, parts, case  # the second copy of the features

    few, *more = sorted(args.flat_samples)
    base = Ours(new_memory(few, args.clusters, args.dim), args.batch)
    for number in more:
        many = Ours(new_memory(number, args.clusters, args.dim), args.batch)
        show(*flat_title(few, number), flat_cases(base, many))
    many = ours
    show(*flat_title(few, args.samples), flat_cases(base, many))

    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def flat_title(few: int, many: int) -> tuple[str, tuple[str, str, str]]:
    """Title and heads of a table of ours at two N."""
    return f"Flat in N: {few:,} to {many:,}", (f"N = {few:,}", f"N = {many:,}", "ratio")


if __name__ == "__main__":
    main()
