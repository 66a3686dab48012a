"""The results of the study's runs, read from their files, as gains over the frozen network."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.adapt.label_scores import SCORES
from scripts.adapt.runs import FROZEN, SEEDS, Run
from scripts.adapt.scores import FILE

from odc_lightning.metrics.adaptation import criterion
from odc_lightning.utils.json_file import read_json

Found = dict[Run, dict[str, Any]]
Numbers = dict[str, float]


def read_scores(folder: Path) -> Found:
    """The content of each ``scores.json``, by run.

    Args:
        folder: with ``DATA/METHOD/RATE/SEED/scores.json``.

    Raises:
        ValueError: there is none, or a data set has no frozen network.
    """
    files = sorted(folder.glob(f"*/*/*/*/{FILE}"))
    if not files:
        raise ValueError(f"{folder} has no DATA/METHOD/RATE/SEED/{FILE}")
    found = {Run.at(file.parent): read_json(file) for file in files}
    for data in {run.data for run in found}:
        if frozen_of(data) not in found:
            raise ValueError(f"{folder / data} has no scores of the frozen network")
    return found


def frozen_of(data: str) -> Run:
    """The run of the frozen network."""
    return Run(data, FROZEN, None, SEEDS[0])


def states(found: Found, run: Run) -> Mapping[str, Any]:
    """The states of a run by name; the first is that which the run ends with."""
    return {
        name: found[run]["states"][name]
        for name in ("start", "kept", "last")
        if name in found[run]["states"]
    }


def gains(found: Found, run: Run, state: str | None = None) -> Numbers:
    """Each score minus that of the frozen network; 0.01 is one percent.

    Args:
        found, run: see `read_scores`.
        state: its name; None: that which the run ends with.
    """
    known = states(found, run)
    scores = known[state or next(iter(known))]["scores"]
    frozen = states(found, frozen_of(run.data))["start"]["scores"]
    return {name: scores[name] - frozen[name] for name in SCORES}


def mean_gain(found: Found, run: Run, state: str | None = None) -> float:
    """The mean of the four gains."""
    return statistics.fmean(gains(found, run, state).values())


def guard_gains(found: Found, run: Run, state: str) -> Numbers:
    """Each measure of the guard, and its criterion, over that of the frozen network, minus 1.

    Measures that are 0 for the frozen network are left out, and those that are not finite.
    """
    now, before = dict(found[run]["states"][state]["guard"]), dict(found[run]["guard_start"])
    if None in now.values() or None in before.values():
        return {}
    now["criterion"], before["criterion"] = criterion(now), criterion(before)
    return {name: now[name] / before[name] - 1 for name in now if before[name] != 0}


def best_rate(found: Found, data: str, method: str) -> float:
    """The learning rate with the best mean of the four scores, with the first seed.

    Raises:
        ValueError: no run of the method has scores.
    """
    runs = [run for run in found if (run.data, run.method) == (data, method) and run.rate]
    first = min((run.seed for run in runs), default=0)
    known = [run for run in runs if run.seed == first]
    if not known:
        raise ValueError(f"{data} has no scores of {method}")
    best = max(known, key=lambda run: mean_gain(found, run))
    assert best.rate is not None
    return best.rate


def seeds_of(found: Found, data: str, method: str) -> list[Run]:
    """The runs of a method with its best learning rate, one for each seed; perhaps none."""
    rates = {run.rate for run in found if (run.data, run.method) == (data, method)}
    if not rates:
        return []
    rate = None if None in rates else best_rate(found, data, method)
    runs = [Run(data, method, rate, seed) for seed in SEEDS]
    return [run for run in runs if run in found]
