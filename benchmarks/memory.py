"""Section ``memory``: a step of the memory, compared with its floor and the obvious full recompute.

The obvious version recomputes sizes and centroids from all labels and features, O(N) and O(N D), as
the authors' code does. The floor is the product of B features with C centroids, and B rows of the
memory gathered and written. On one thread: OpenMP's threads wait for each other in every operation,
for milliseconds if another process uses their core, and our version has more and shorter
operations.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch

from benchmarks import terms
from benchmarks.axes import COLUMNS, NAMES, Point, axis_table, made, missing, point, threads
from benchmarks.cases import (
    CHECK,
    REFRESH,
    STEP,
    UPDATE,
    WEIGHTS,
    check_all,
    rare_cases,
    step_cases,
)
from benchmarks.tables import NO_GPU, Cell, Table, Target
from benchmarks.terms import Size
from benchmarks.timing import in_turns
from benchmarks.versions import REFRESH_EVERY, Obvious, Ours, Version


class Plan(NamedTuple):
    """The sizes to measure.

    Attributes:
        base: the point where the axes meet.
        few: a small N; steps at larger N must not take longer.
        axes: field of the base -> its other values.
        repeats: of each step.
    """

    base: Size
    few: int
    axes: Mapping[str, Sequence[int]]
    repeats: int


FULL = Plan(
    Size(1_281_167, 10_000, 256, 512),  # ImageNet
    100_000,
    {
        "batch": (64, 256, 2048),
        "clusters": (100, 1000, 100_000),
        "dim": (64, 128, 512, 1024),
        "samples": (10_000, 10_000_000),
    },
    3,
)
QUICK = Plan(
    Size(2000, 20, 8, 16),
    500,
    {"batch": (8,), "clusters": (100,), "dim": (4,), "samples": (4000,)},
    1,
)
COLUMNS_OF_PARTS = (
    *("part", "ours (ms)", "floor (ms)", "ours / floor", "obvious (ms)", "obvious / ours"),
)


def measure(quick: bool) -> Iterator[Table | Target]:
    """The parts at the base, each axis, and the same on a GPU."""
    plan = QUICK if quick else FULL
    yield from on_device(plan, "cpu")
    if torch.cuda.is_available():
        yield from on_device(plan, "cuda")
        return
    rows: list[tuple[Cell, ...]] = [
        (name, NO_GPU, *[None] * (len(COLUMNS_OF_PARTS) - 2))
        for name in (UPDATE, WEIGHTS, CHECK, REFRESH, STEP)
    ]
    yield Table("Parts of the memory's step, GPU", COLUMNS_OF_PARTS, rows)
    for ratio, at_most in (("step / floor at the base point", 1.5), (flatness(plan), 1.2)):
        yield Target(f"{ratio}, GPU", None, at_most)


def on_device(plan: Plan, device: str) -> Iterator[Table | Target]:
    """All measurements on one device, with one large memory at a time."""
    name_of_device = NAMES[device]
    base, repeats = made(plan.base, device), plan.repeats
    yield from parts(plan, base, device)
    known = yield from beyond_the_product(plan, base, device)
    few = made(plan.base._replace(samples=plan.few), device)
    at_base = point(base, repeats, few)
    points = {plan.base: at_base, plan.base._replace(samples=plan.few): point(few, repeats)}
    for axis, values in plan.axes.items():
        for value in values:
            size = plan.base._replace(**{axis: value})
            if axis == "batch":
                points[size] = point(Ours(base.memory, value), repeats)
            elif lacking := missing(size, device):
                points[size] = Point((lacking, *[None] * (len(COLUMNS) - 1)))
            else:
                points[size] = point(made(size, device), repeats, few)
        if axis == "batch":
            del base
        on_axis = {
            getattr(size, axis): found
            for size, found in points.items()
            if size._replace(**{axis: 0}) == plan.base._replace(**{axis: 0})
        }
        yield axis_table(axis, plan.base, on_axis, device)
    most = plan.base._replace(samples=max(plan.axes["samples"]))
    why = missing(most, device) or NO_GPU
    yield Target(f"{flatness(plan)}, {name_of_device}", points[most].by_few, 1.2, why)
    measured = [(size, found.seconds) for size, found in points.items() if found.seconds]
    known |= terms.fitted_rest(known, measured)
    yield terms.terms_table(name_of_device, known)
    yield model_table(known, measured, device)


def flatness(plan: Plan) -> str:
    """The name of the target that the step's time does not depend on N."""
    return f"step at N = {max(plan.axes['samples']):,} / at N = {plan.few:,}"


def parts(plan: Plan, ours: Ours, device: str) -> Iterator[Table | Target]:
    """Every part, compared with the obvious version."""
    obvious, floor = Obvious.beside(ours), Obvious.beside(ours)
    times: dict[str, tuple[float, float, float | None]] = {}
    cases = [*step_cases(ours, obvious, floor), *rare_cases(ours, obvious)]
    check_all(cases, ours, obvious)
    for case in cases:
        steps = [case.ours, case.obvious, *([case.floor] if case.floor else [])]
        mine, theirs, *least = in_turns(steps, plan.repeats, case.prepare, case.iterations)
        times[case.name] = mine, theirs, least[0] if least else None
    note = (
        f"{plan.base}; {threads(device)}. The floor of the update and of the step is the product "
        "of the batch with the centroids, and the batch's rows gathered and written; that of a "
        "refresh is reading and writing C x D numbers."
    )
    rows: list[tuple[Cell, ...]] = [
        (name, 1e3 * mine, *beside(mine, least), 1e3 * theirs, theirs / mine)
        for name, (mine, theirs, least) in times.items()
    ]
    on = NAMES[device]
    yield Table(f"Parts of the memory's step, {on}", COLUMNS_OF_PARTS, rows, note)
    step, _, floor_of_step = times[STEP]
    assert floor_of_step is not None  # the step has one
    yield Target(f"step / floor at the base point, {on}", step / floor_of_step, 1.5)
    for name in (WEIGHTS, CHECK, REFRESH):
        mine, theirs, _ = times[name]
        yield Target(f"{name} / full recompute, {on}", mine / theirs, 0.1)
    for name, (mine, _, _) in times.items():
        if name.endswith("small clusters"):
            yield Target(f"seconds for {name} at the base point, {on}", mine, 1.0)


def beside(mine: float, least: float | None) -> tuple[Cell, Cell]:
    """The cells of a floor and of the ratio to it."""
    return (None, None) if least is None else (1e3 * least, mine / least)


def beyond_the_product(
    plan: Plan, ours: Ours, device: str
) -> Generator[Table | Target, None, dict[str, float]]:
    """The step minus the product that no version can avoid.

    Returns:
        The costs of the known parts of a step, measured in the same turns.
    """
    obvious, floor = Obvious.beside(ours), Obvious.beside(ours)
    *_, step = step_cases(ours, obvious, floor)
    mine, theirs, product, rows, refresh = in_turns(
        [
            step.ours,
            step.obvious,
            partial(floor.each_batch, Version.product),
            partial(floor.each_batch, Version.gather_and_write),
            partial(ours.each_batch, lambda version: version.refresh()),
        ],
        plan.repeats,
        step.prepare,
        REFRESH_EVERY,
    )
    rest, rest_of_obvious = mine - product, theirs - product
    on = NAMES[device]
    yield Table(
        f"The step beyond the product, {on}",
        ("", "ours (ms)", "obvious (ms)", "obvious / ours"),
        [
            ("step", 1e3 * mine, 1e3 * theirs, theirs / mine),
            ("product", 1e3 * product, 1e3 * product, 1),
            ("the rest", 1e3 * rest, 1e3 * rest_of_obvious, rest_of_obvious / rest),
        ],
    )
    name = f"step beyond the product / that of the full recompute, {on}"
    yield Target(name, rest / rest_of_obvious, 0.1)
    has = terms.amounts(plan.base)
    return {
        terms.PRODUCT: product / has[terms.PRODUCT],
        terms.ROWS: rows / has[terms.ROWS],
        terms.REFRESH: refresh / REFRESH_EVERY / has[terms.REFRESH],
    }


def model_table(
    known: Mapping[str, float], measured: Sequence[tuple[Size, float]], device: str
) -> Table:
    """A table of how well the terms reproduce the measurements that they were fitted to."""
    rows: list[tuple[Cell, ...]] = []
    for size, seconds in measured:
        model = terms.step_seconds(known, size)
        rows.append((str(size), 1e3 * seconds, 1e3 * model, model / seconds))
    title = f"Steps by the terms, {NAMES[device]}"
    return Table(title, ("", "measured (ms)", "by the terms (ms)", "ratio"), rows)
