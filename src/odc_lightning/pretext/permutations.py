"""Permutations that are far from one another (Noroozi and Favaro, ECCV 2016, Sec. 4.2)."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

# All orders of ten tiles would be 3.6 million; the greedy search looks at each of them.
MOST_TILES = 9


def maximal_hamming_permutations(
    num_permutations: int, num_tiles: int, seed: int
) -> NDArray[np.int64]:
    """A set of permutations of large mutual Hamming distance, by the paper's greedy Algorithm 1.

    The first one is drawn at random; each further one is, of all that are left, one with the
    largest mean distance to those chosen. Where several are equal, as at every K-th step, the
    paper leaves it open: it is the one whose nearest chosen one is farthest, then the first in
    lexicographic order. Distances are whole numbers, so every process finds the same set.

    Args:
        num_permutations: P.
        num_tiles: K, at most 9.
        seed: of the first one.

    Returns:
        (P, K), a permutation of 0 .. K - 1 a row, no two the same.

    Raises:
        ValueError: there are not so many permutations, or there are too many to look at.
    """
    if not 1 <= num_tiles <= MOST_TILES:
        raise ValueError(f"got num_tiles={num_tiles}, expected 1 to {MOST_TILES}")
    if not 1 <= num_permutations <= math.factorial(num_tiles):
        raise ValueError(
            f"got num_permutations={num_permutations:,}, expected 1 to "
            f"{math.factorial(num_tiles):,}, as many as {num_tiles} tiles have (config key "
            "algorithm.num_clusters)"
        )
    everything = np.array(list(itertools.permutations(range(num_tiles))), dtype=np.uint8)
    places = np.ascontiguousarray(everything.T)  # a row a tile, which is quicker to compare
    total = np.zeros(len(everything), dtype=np.int64)  # sum of the distances to those chosen
    nearest = np.full(len(everything), num_tiles, dtype=np.uint8)  # the least of them
    chosen = np.empty(num_permutations, dtype=np.int64)
    chosen[0] = np.random.default_rng(seed).integers(len(everything))
    for number in range(1, num_permutations):
        last = chosen[number - 1]
        distance = np.zeros(len(everything), dtype=np.uint8)
        for place, tile in zip(places, everything[last], strict=True):
            distance += place != tile
        total += distance
        np.minimum(nearest, distance, out=nearest)
        total[last] = np.iinfo(np.int64).min // 2  # never again
        best = np.flatnonzero(total == total.max())
        chosen[number] = best[nearest[best].argmax()]
    return everything[chosen].astype(np.int64)
