"""The parts of the memory's step in two versions, which must do the same before they are timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Step
from benchmarks.versions import REFRESH_EVERY, THRESHOLD, Obvious, Ours, Version

NUM_SMALL = 100
TOLERANCE = 1e-5
FLOOR_SEED = 10**6  # of the floor's batches, beside those of the repeats

UPDATE, WEIGHTS, CHECK, REFRESH = (
    "sample update",
    "loss re-weighting",
    "small-cluster check",
    "centroid refresh",
)
STEP = f"step, refresh every {REFRESH_EVERY}"
BY_SORTING = "centroid refresh, by sorting"

Part = Callable[[Version], Any]


@dataclass(frozen=True)
class Case:
    """A part to be timed in turns.

    Attributes:
        name: its line in the table.
        ours: the one that ought to be quick.
        obvious: the one that recomputes.
        prepare: called with the number of the repeat before them, and not timed.
        floor: what neither can do without.
        iterations: in a call of each; times are of one iteration.
    """

    name: str
    ours: Step
    obvious: Step
    prepare: Callable[[int], None] = lambda repeat: None
    floor: Step | None = None
    iterations: int = 1


def step_cases(ours: Ours, obvious: Obvious, floor: Version) -> list[Case]:
    """The parts of a step, and the whole of k of them.

    All three share the features. They have other batches, each its own, since rows that another one
    has just touched are in the processor's cache.
    """

    def draw(repeat: int) -> None:
        ours.draw(2 * repeat)
        obvious.draw(2 * repeat + 1)
        floor.draw(FLOOR_SEED + repeat)

    def per_batch(name: str, part: Part, least: Step | None = None) -> Case:
        steps = partial(ours.each_batch, part), partial(obvious.each_batch, part)
        return Case(name, *steps, draw, least, REFRESH_EVERY)

    product_and_rows = partial(floor.each_batch, Version.product_and_rows)
    means = torch.empty_like(ours.centroids)
    sums = torch.empty_like(means, dtype=torch.float64)
    return [
        per_batch(UPDATE, Version.update_and_count, product_and_rows),
        per_batch(WEIGHTS, Version.weights),
        per_batch(CHECK, Version.any_small),
        Case(REFRESH, ours.refresh, obvious.refresh, draw, partial(means.copy_, sums)),
        Case(STEP, ours.iterate, obvious.iterate, draw, product_and_rows, REFRESH_EVERY),
    ]


def rare_cases(ours: Ours, obvious: Obvious) -> list[Case]:
    """Another obvious refresh, and many small clusters at once, where there can be."""
    found = [Case(BY_SORTING, ours.refresh, obvious.refresh_by_sorting)]
    if can_be_small(ours):
        number = num_small(ours)
        damaged = with_small_clusters(ours.labels, number)

        def damage(repeat: int) -> None:
            ours.set_labels(damaged)
            obvious.set_labels(damaged)

        name = f"{number} small clusters"
        found.append(Case(name, ours.deal_with_small, obvious.deal_with_small, damage))
    return found


def can_be_small(version: Version) -> bool:
    """Whether clusters are so large that some can be small while the others are normal."""
    return len(version.labels) > 2 * THRESHOLD * len(version.centroids)


def num_small(version: Version) -> int:
    """How many clusters are made small at once."""
    return min(NUM_SMALL, len(version.centroids) // 4)


def with_small_clusters(labels: Tensor, number: int) -> Tensor:
    """Labels (N,) with the first clusters small: most of their members are in the next ones."""
    labels = labels.clone()
    for cluster in range(number):
        members = (labels == cluster).nonzero().flatten()
        labels[members[THRESHOLD // 2 :]] = number + cluster
    return labels


def check_all(cases: Sequence[Case], ours: Ours, obvious: Obvious) -> None:
    """As `check`, before any of them is timed: then each writes what the other does not know."""
    ours.memory.recompute()
    for case in cases:
        check(case, ours, obvious)


def check(case: Case, ours: Ours, obvious: Obvious) -> None:
    """Refuse to time versions that do not do the same from the same start.

    Raises:
        AssertionError: if what they return, or leave, differs.
    """
    obvious.take(ours)
    case.prepare(0)
    for version in (ours, obvious):
        version.draw(0)
    indices = torch.cat([batch.indices for batch in ours.batches])
    before = ours.features[indices]
    result = case.ours()
    state = ours.state()
    # The features are shared; afterwards they are again what our sums are of.
    ours.features[indices] = before
    torch.testing.assert_close(
        [result, *state],
        [case.obvious(), *obvious.state()],
        rtol=0,
        atol=TOLERANCE,
        msg=lambda difference: f"{case.name}: ours and the obvious one differ. {difference}",
    )
