"""The targets of the study, each answered from its results with yes or no, and by how much."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.adapt.label_scores import SCORES
from scripts.adapt.results import Found, Numbers, gains, seeds_of, states
from scripts.adapt.runs import RECIPE, RIVALS, TITLES

from odc_lightning.reporting.tables.fine_tuning import OWN_STARTS, STARTS, collect
from odc_lightning.utils.json_file import read_json

FIRST_PAGE, ADAPTED = 60, 300  # seconds


class Answer(NamedTuple):
    """The answer to one target.

    Attributes:
        target: what was aimed at.
        reached: whether it was; None if there are no results for it.
        reason: by how much, or where it was missed.
    """

    target: str
    reached: bool | None
    reason: str


class Gain(NamedTuple):
    """The gain of a score over the frozen network, over the seeds.

    Attributes:
        data, score: their names.
        mean: of the seeds.
        spread: their standard deviation; NaN with one seed.
    """

    data: str
    score: str
    mean: float
    spread: float

    def __str__(self) -> str:
        spread = "" if math.isnan(self.spread) else f" ± {100 * self.spread:.1f}"
        return f"{self.data} {SCORES.get(self.score, self.score)} {100 * self.mean:+.1f}{spread}"


def gains_of(found: Found, data: str, method: str) -> list[Gain]:
    """The gains of a method with its best learning rate, in the order of `SCORES`."""
    seeds = [gains(found, run) for run in seeds_of(found, data, method)]
    return [gain_of(data, score, seeds) for score in SCORES] if seeds else []


def gain_of(data: str, score: str, seeds: Sequence[Numbers]) -> Gain:
    """Mean and spread of one score over the seeds."""
    values = [each[score] for each in seeds]
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return Gain(data, score, statistics.fmean(values), spread)


def ami_gains(found: Found, data: str) -> list[float]:
    """Of each seed, the AMI of the recipe's clusters minus that of K-Means on frozen features."""
    all_gains = []
    for run in seeds_of(found, data, RECIPE):
        first = next(iter(states(found, run).values()))
        all_gains.append(first["own_ami"] - found[run]["frozen_ami"])
    return all_gains


def never_worse(recipe: Sequence[Gain]) -> Answer:
    """Target 1: no score below the frozen network by more than the spread of the seeds."""
    worse = [gain for gain in recipe if gain.mean < -_spread(gain)]
    least = min(recipe, key=lambda gain: gain.mean)
    return Answer(
        "1. No score below the frozen network by more than the spread",
        not worse,
        "; ".join(map(str, worse)) or f"the least gain is {least}",
    )


def better(recipe: Sequence[Gain], ami: Sequence[Gain]) -> Answer:
    """Target 2: above it by more than the spread in half of the pairs; AMI higher on all data."""
    above = [gain for gain in recipe if gain.mean > _spread(gain)]
    lower = [gain for gain in ami if gain.mean <= 0]
    clusters = ", ".join(map(str, ami))
    return Answer(
        "2. Above it by more than the spread in half of all scores; own clusters better everywhere",
        2 * len(above) >= len(recipe) and not lower,
        f"{len(above)} of {len(recipe)} scores are above; {clusters}",
    )


def beats_rivals(found: Found, data: Sequence[str]) -> Answer:
    """Target 3: at or above every rival in three of four scores on each data set."""
    missed, compared = [], 0
    for name in data:
        recipe = gains_of(found, name, RECIPE)
        for method in RIVALS:
            rival = gains_of(found, name, method)
            if not rival:
                continue
            compared += 1
            pairs = list(zip(recipe, rival, strict=True))
            ahead = [own.mean >= other.mean for own, other in pairs]
            if sum(ahead) < 3:
                lost = [
                    f"{SCORES[own.score]} {100 * (own.mean - other.mean):+.1f}"
                    for (own, other), is_ahead in zip(pairs, ahead, strict=True)
                    if not is_ahead
                ]
                missed.append(f"{name} against {TITLES[method]}: {', '.join(lost)}")
    return Answer(
        "3. At or above every rival in three of four scores on each data set",
        None if not compared else not missed,
        "; ".join(missed) or f"{compared} comparisons",
    )


def starts_gain(evaluations: Path | None) -> Answer:
    """Target 4: a gain in the linear score from each start of Table 4.

    Args:
        evaluations: METHOD/START/SEED/results.json, with the methods ``original`` and ``adapt``.
    """
    title = "4. A gain in the linear score from each start of Table 4"
    if evaluations is None:
        return Answer(title, None, "not evaluated")
    found, rises = collect(evaluations), {}
    starts = {**STARTS, **OWN_STARTS}
    for start, name in starts.items():
        values = [
            [
                100 * score.value
                for scores in found.get((method, start), [])
                for score in scores
                if (score.protocol, score.metric, score.layer) == ("linear", "top1", "pooled")
            ]
            for method in ("original", "adapt")
        ]
        if all(values):
            rises[name] = statistics.fmean(values[1]) - statistics.fmean(values[0])
    shown = ", ".join(f"{name} {rise:+.1f}" for name, rise in rises.items())
    reached = None if len(rises) < len(starts) else all(rise > 0 for rise in rises.values())
    return Answer(title, reached, shown or "not evaluated")


def in_time(timed: Path | None) -> Answer:
    """Target 5: the first page of 500 photographs within a minute, adapted within five.

    Args:
        timed: folder of a run with pages, on two cores.
    """
    title = "5. Two cores: first page within a minute, adapted within five"
    if timed is None:
        return Answer(title, None, "not measured")
    first, last = (read_json(place / "summary.json") for place in (timed / "start", timed))
    seconds = [float(summary["wall_seconds"]) for summary in (first, last)]
    reached = seconds[0] < FIRST_PAGE and seconds[1] < ADAPTED
    return Answer(
        title,
        reached,
        f"first clusters of {first['num_samples']} images after {seconds[0]:.0f} s, adapted after "
        f"{seconds[1]:.0f} s",
    )


def answers(
    found: Found, data: Sequence[str], evaluations: Path | None, timed: Path | None
) -> list[Answer]:
    """All five answers.

    Args:
        found: the results.
        data: names of the data sets that have the recipe.
        evaluations: see `starts_gain`.
        timed: see `in_time`.
    """
    recipe = [gain for name in data for gain in gains_of(found, name, RECIPE)]
    ami = [
        gain_of(name, "AMI", [{"AMI": value} for value in ami_gains(found, name)]) for name in data
    ]
    return [
        never_worse(recipe),
        better(recipe, ami),
        beats_rivals(found, data),
        starts_gain(evaluations),
        in_time(timed),
    ]


def _spread(gain: Gain) -> float:
    """The spread of the seeds; 0 with one seed."""
    return 0.0 if math.isnan(gain.spread) else gain.spread
