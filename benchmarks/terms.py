"""Terms, each the cost of one operation, and the time of a memory step estimated from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped]

from benchmarks.tables import Table

REFRESH_EVERY = 10  # k

PRODUCT = "product, seconds a flop"  # of the batch with the centroids
ROWS = "rows, seconds a byte"  # gathered at random, or written
REFRESH = "refresh, seconds a byte"  # of the centroids in fp32
RANKS = "ranks, seconds a byte"  # that a rank receives from the others
KMEANS = "K-Means, seconds a flop"
# The rest of a step's time is assigned to the best fitting of these three.
SIMILARITIES = "rest, seconds a similarity"  # B C of them
NUMBERS = "rest, seconds a number"  # B D of them
FIXED = "rest, seconds a step"

ALL = (PRODUCT, ROWS, REFRESH, RANKS, KMEANS, SIMILARITIES, NUMBERS, FIXED)

TITLE = "Measured terms"


class Size(NamedTuple):
    """N samples, C clusters, D dimensions, and a batch B of all ranks together."""

    samples: int
    clusters: int
    dim: int
    batch: int

    def __str__(self) -> str:
        return f"N = {self.samples:,}, C = {self.clusters:,}, D = {self.dim}, B = {self.batch:,}"


def amounts(size: Size, ranks: int = 1) -> dict[str, float]:
    """The amount of each term in a step, on each of R ranks.

    A rank compares its own B / R samples with the centroids, and writes all B.
    """
    _, clusters, dim, batch = size
    own = batch / ranks
    return {
        PRODUCT: 2 * own * clusters * dim,
        ROWS: 4 * dim * (batch + batch),
        REFRESH: 4 * clusters * dim / REFRESH_EVERY,
        # Feature, index and label; the last two have 8 bytes each.
        RANKS: (4 * dim + 16) * (batch - own),
        SIMILARITIES: own * clusters,
        NUMBERS: batch * dim,
        FIXED: 1,
    }


def step_seconds(terms: Mapping[str, float], size: Size, ranks: int = 1) -> float:
    """Estimated seconds of the memory's part of a step.

    Raises:
        KeyError: a term that the step needs is missing.
    """
    return sum(terms[name] * amount for name, amount in amounts(size, ranks).items() if amount)


def fitted_rest(
    terms: Mapping[str, float], measured: Sequence[tuple[Size, float]]
) -> dict[str, float]:
    """The terms of the rest, none negative, by least squares of relative errors.

    Args:
        terms: `PRODUCT`, `ROWS` and `REFRESH`.
        measured: pairs of a size and the measured seconds of a step on one rank.
    """
    names = (SIMILARITIES, NUMBERS, FIXED)
    known = {**terms, **dict.fromkeys(names, 0.0)}
    rest = [1 - step_seconds(known, size) / seconds for size, seconds in measured]
    shares = [[amounts(size)[name] / seconds for name in names] for size, seconds in measured]
    # Scaled, since the columns differ by many powers of ten, beyond the solver's tolerance.
    scale = np.max(shares, axis=0)
    found, _ = nnls(np.array(shares) / scale, np.array(rest))
    return dict(zip(names, (found / scale).tolist(), strict=True))


def terms_table(device: str, terms: Mapping[str, float]) -> Table:
    """The table that `read_terms` reads: the terms of ``device``, ``"CPU"`` or ``"GPU"``."""
    return Table(f"{TITLE}, {device}", ("term", "measured"), list(terms.items()))


def read_terms(report: Mapping[str, Any], device: str) -> dict[str, float]:
    """The terms of all sections of a ``bench.json``.

    Args:
        report: its content.
        device: ``"CPU"`` or ``"GPU"``.
    """
    return {
        term: value
        for table in report["tables"]
        if table["title"] == f"{TITLE}, {device}"
        for term, value in table["rows"]
    }
