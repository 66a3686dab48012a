"""The parts of the memory's step in two versions, which are checked to agree before timing."""

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
FLOOR_SEED = 10**6  # of the floor's batches, distinct from the repeats' seeds

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
    """A part that is timed in turns.

    Attributes:
        name: its line in the table.
        ours: our incremental version.
        obvious: the version that recomputes everything.
        prepare: called with the number of the repeat before both, and not timed.
        floor: the work that neither version can avoid.
        iterations: per call; times are of one iteration.
    """

    name: str
    ours: Step
    obvious: Step
    prepare: Callable[[int], None] = lambda repeat: None
    floor: Step | None = None
    iterations: int = 1


def step_cases(ours: Ours, obvious: Obvious, floor: Version) -> list[Case]:
    """The parts of a step, and k whole steps.

    All three versions share the features. Each has its own batches, since rows that another version
    has just read are in the processor's cache.
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
    """Another obvious refresh, and many small clusters at once, if the sizes allow them."""
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
    """Whether clusters are large enough that some can be small while the others are normal."""
    return len(version.labels) > 2 * THRESHOLD * len(version.centroids)


def num_small(version: Version) -> int:
    """The number of clusters that are made small at once."""
    return min(NUM_SMALL, len(version.centroids) // 4)


def with_small_clusters(labels: Tensor, number: int) -> Tensor:
    """Labels (N,) in which the first clusters are small: most of their members moved to others."""
    labels = labels.clone()
    for cluster in range(number):
        members = (labels == cluster).nonzero().flatten()
        labels[members[THRESHOLD // 2 :]] = number + cluster
    return labels


def check_all(cases: Sequence[Case], ours: Ours, obvious: Obvious) -> None:
    """`check` all cases before timing, since timed versions change their own state only."""
    ours.memory.initialize(ours.labels.clone())  # the obvious version has written to its features
    for case in cases:
        check(case, ours, obvious)


def check(case: Case, ours: Ours, obvious: Obvious) -> None:
    """Check that both versions do the same from the same start.

    Raises:
        AssertionError: their return values or their states differ.
    """
    obvious.take(ours)
    case.prepare(0)
    for version in (ours, obvious):
        version.draw(0)
    indices = torch.cat([batch.indices for batch in ours.batches])
    before = ours.features[indices]
    result = case.ours()
    state = ours.state()
    # The features are shared; afterwards they match our sums again.
    ours.features[indices] = before
    torch.testing.assert_close(
        [result, *state],
        [case.obvious(), *obvious.state()],
        rtol=0,
        atol=TOLERANCE,
        msg=lambda difference: f"{case.name}: ours and the obvious one differ. {difference}",
    )
