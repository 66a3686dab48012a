"""One step of the memory beside the obvious one, which recomputes every mean and every size.

``python -m benchmarks.memory_step`` prints Markdown tables. The obvious version finds sizes and
centroids anew from all labels and features, O(N) and O(N D), as the authors' code does. The two
are held against each other before anything is timed, and are timed in turns, so that whatever else
the machine does meets both. On one thread, unless told otherwise: OpenMP's threads wait for each
other in every operation, for milliseconds where another process has their core, and ours has more
and shorter operations.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from benchmarks.versions import REFRESH_EVERY, THRESHOLD, Obvious, Ours, Version, new_memory

NUM_SMALL = 100
TOLERANCE = 1e-5

Part = Callable[[Version], Any]
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


def cases(version: Version, against: Version) -> list[Case]:
    """The parts of an iteration, and the whole, in two versions."""

    def draw(repeat: int) -> None:
        version.draw(repeat)
        against.draw(repeat)

    def per_batch(name: str, part: Part) -> Case:
        steps = partial(version.each_batch, part), partial(against.each_batch, part)
        return Case(name, *steps, draw, REFRESH_EVERY)

    return [
        per_batch("sample update", Version.update_and_count),
        per_batch("loss re-weighting", Version.weights),
        per_batch("small-cluster check", Version.any_small),
        per_batch("centroid refresh", lambda either: either.refresh()),
        Case(
            f"iteration, refresh every {REFRESH_EVERY}",
            version.iterate,
            against.iterate,
            draw,
            REFRESH_EVERY,
        ),
    ]


def obvious_cases(ours: Ours, obvious: Obvious) -> list[Case]:
    """Those of `cases`, another obvious refresh, and what is rare: many small clusters at once."""
    small = min(NUM_SMALL, len(ours.centroids) // 4)
    damaged = with_small_clusters(ours.labels, small)

    def damage(repeat: int) -> None:
        ours.set_labels(damaged)
        obvious.set_labels(damaged)

    return [
        *cases(ours, obvious),
        Case("centroid refresh, by sorting", ours.refresh, obvious.refresh_by_sorting, ours.draw),
        Case(f"{small} small clusters", ours.deal_with_small, obvious.deal_with_small, damage),
    ]


def floor_case(ours: Ours) -> Case:
    """Our sample update by the bare product with the centroids."""
    product = partial(ours.each_batch, Version.product)
    update = partial(ours.each_batch, Version.update_and_count)
    return Case("sample update", product, update, ours.draw, REFRESH_EVERY)


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


@dataclass(frozen=True)
class Row:
    """Medians of a case in milliseconds, and ``against_ms / step_ms``."""

    name: str
    step_ms: float
    against_ms: float
    ratio: float


@dataclass(frozen=True)
class Table:
    """Rows under the heads of both times and of their ratio."""

    title: str
    heads: tuple[str, str, str]
    rows: list[Row]

    def markdown(self) -> str:
        """The title, and the table."""
        first, second, ratio = self.heads
        lines = [
            ["part", f"{first} (ms)", f"{second} (ms)", ratio],
            ["---", "---:", "---:", "---:"],
            *(
                [row.name, f"{row.step_ms:.3f}", f"{row.against_ms:.3f}", f"{row.ratio:.2f}"]
                for row in self.rows
            ),
        ]
        return "\n".join([f"### {self.title}", "", *(f"| {' | '.join(line)} |" for line in lines)])


def measure(case: Case, repeats: int) -> Row:
    """Time both steps of a case in turns, either first as often as the other."""
    print(f"{case.name} ...", file=sys.stderr)
    steps, times = (case.step, case.against), ([0.0], [0.0])
    for repeat in range(repeats + 1):
        case.prepare(repeat)
        for which in (repeat % 2, 1 - repeat % 2):
            start = perf_counter()
            steps[which]()
            times[which].append(1000 * (perf_counter() - start) / case.iterations)
    # The first call of each warms up.
    step_ms, against_ms = (statistics.median(of_one[2:]) for of_one in times)
    return Row(case.name, step_ms, against_ms, against_ms / step_ms)


def beside_the_obvious(ours: Ours, repeats: int) -> Iterator[Table]:
    """Check and time ours and the obvious one."""
    obvious = Obvious(
        ours.features.clone(), ours.labels.clone(), ours.centroids.clone(), ours.batch_size
    )
    chosen = obvious_cases(ours, obvious)
    for case in chosen:
        check(case, ours, obvious)
    heads = "ours", "obvious", "obvious / ours"
    yield Table("Ours beside the obvious", heads, [measure(case, repeats) for case in chosen])


def beside_the_floor(ours: Ours, repeats: int) -> Table:
    """How much dearer ours is than the product that it cannot do without."""
    heads = "product", "ours", "ours / product"
    return Table("Ours beside the bare product", heads, [measure(floor_case(ours), repeats)])


def flat_in_samples(few: Ours, many: Ours, repeats: int) -> Table:
    """Ours at two numbers of samples."""
    sizes = f"N = {len(few.labels):,}", f"N = {len(many.labels):,}"
    rows = [measure(case, repeats) for case in cases(few, many)]
    return Table(f"Ours at {' and '.join(sizes)}", (*sizes, "ratio"), rows)


def tables(args: argparse.Namespace) -> Iterator[Table]:
    """All tables, each when it is ready; at most two copies of N features are alive."""

    def ours_of(num_samples: int) -> Ours:
        return Ours(new_memory(num_samples, args.clusters, args.dim), args.batch)

    ours = ours_of(args.samples)
    yield from beside_the_obvious(ours, args.repeats)
    yield beside_the_floor(ours, args.repeats)
    few, *more = args.flat_samples
    base = ours_of(few)
    for number in more:
        yield flat_in_samples(base, ours_of(number), args.repeats)
    yield flat_in_samples(base, ours, args.repeats)


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
    parser.add_argument("--repeats", type=int, default=6, help="of each step (default: 6)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
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
    if args.clusters < 4 or min(args.repeats, args.threads) < 1:
        parser.error("--clusters must be at least 4, --repeats and --threads at least 1")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Check, measure, print."""
    args = parse(argv)
    torch.set_num_threads(args.threads)
    settings = {name: value for name, value in vars(args).items() if name != "json"}
    report: dict[str, Any] = {"machine": machine(), "settings": settings, "tables": []}
    for about in (report["machine"], settings):
        print(", ".join(f"{name} {value}" for name, value in about.items()))
    for table in tables(args):
        print(f"\n{table.markdown()}", flush=True)
        report["tables"].append(asdict(table))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
