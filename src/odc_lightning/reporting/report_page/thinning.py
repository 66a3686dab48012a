"""Long metrics as few points that keep all extremes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Band(NamedTuple):
    """Several runs at P common steps.

    Attributes:
        steps: (P,) optimiser steps done.
        mean: (P,) over the runs that have a value there.
        spread: (P,) their standard deviation (n - 1); 0 where there is one run.
    """

    steps: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def thin(steps: np.ndarray, values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value of each of ``most // 2`` bins, so every spike stays.

    Args:
        steps: (K,) ascending.
        values: (K,); NaN and infinity leave a gap, one NaN per bin.
        most: largest number of points, 2 or more; gaps and the two ends are added.

    Returns:
        (P,) steps and (P,) values in their order; all of them if K <= most.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    if len(values) <= most:
        return steps, values
    kept = {0, len(values) - 1}
    edges = np.linspace(0, len(values), most // 2 + 1).astype(int)
    for start, stop in pairwise(edges):
        part = values[start:stop]
        known = np.flatnonzero(~np.isnan(part))
        if len(known) < len(part):
            kept.add(start + int(np.flatnonzero(np.isnan(part))[0]))
        if len(known):
            kept.add(start + int(known[part[known].argmin()]))
            kept.add(start + int(known[part[known].argmax()]))
    places = np.array(sorted(kept))
    return steps[places], values[places]


def band(runs: Sequence[tuple[np.ndarray, np.ndarray]], most: int) -> Band:
    """Mean and spread of several runs; with many points, of their means in bins.

    Args:
        runs: (K,) steps and (K,) values each; K may differ. NaN and infinity do not count.
        most: largest P.
    """
    finite = [(steps[np.isfinite(values)], values[np.isfinite(values)]) for steps, values in runs]
    places = np.unique(np.concatenate([steps for steps, _ in finite]))
    if len(places) <= most:
        edges, shown = np.append(places, np.inf), places
    else:
        edges = np.linspace(places[0], places[-1] + 1, most + 1)
        shown = (edges[:-1] + edges[1:] - 1) / 2
    means = np.full((len(finite), len(shown)), np.nan)
    for row, (steps, values) in enumerate(finite):
        bins = np.searchsorted(edges, steps, side="right") - 1
        count = np.bincount(bins, minlength=len(shown))[: len(shown)]
        total = np.bincount(bins, values, minlength=len(shown))[: len(shown)]
        means[row, count > 0] = total[count > 0] / count[count > 0]
    there = ~np.isnan(means)
    filled = there.any(axis=0)
    means, there, shown = means[:, filled], there[:, filled], shown[filled]
    number = there.sum(axis=0)
    mean = np.where(there, means, 0).sum(axis=0) / number
    squares = np.where(there, np.square(means - mean), 0).sum(axis=0)
    return Band(shown, mean, np.sqrt(squares / np.maximum(number - 1, 1)))
