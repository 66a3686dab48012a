"""Permutations of large mutual Hamming distance (Noroozi and Favaro, ECCV 2016, Sec. 4.2)."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

# Ten tiles have 3.6 million permutations, and the greedy search compares all of them.
MAX_TILES = 9


def maximal_hamming_permutations(
    num_permutations: int, num_tiles: int, seed: int
) -> NDArray[np.int64]:
    """Choose permutations of large mutual Hamming distance, by the paper's greedy Algorithm 1.

    The first permutation is drawn at random. Each further one has the largest mean distance to
    those already chosen. Ties, as at every K-th step, are left open by the paper; here the
    candidate with the largest distance to its nearest chosen permutation wins, then the first in
    lexicographic order. Distances are integers, so every process finds the same set.

    Args:
        num_permutations: P.
        num_tiles: K, at most 9.
        seed: seed of the first permutation.

    Returns:
        (P, K) int64, one permutation of 0 .. K - 1 per row, all different.

    Raises:
        ValueError: if K is not in 1 .. 9, or there are fewer than P permutations.
    """
    if not 1 <= num_tiles <= MAX_TILES:
        raise ValueError(f"got num_tiles={num_tiles}, expected 1 to {MAX_TILES}")
    if not 1 <= num_permutations <= math.factorial(num_tiles):
        raise ValueError(
            f"got num_permutations={num_permutations:,}, expected 1 to "
            f"{math.factorial(num_tiles):,}, the number of permutations of {num_tiles} tiles "
            "(config key algorithm.num_clusters)"
        )
    candidates = np.array(list(itertools.permutations(range(num_tiles))), dtype=np.uint8)
    columns = np.ascontiguousarray(candidates.T)  # (K, K!), which is faster to compare
    total = np.zeros(len(candidates), dtype=np.int64)  # sum of the distances to those chosen
    nearest = np.full(len(candidates), num_tiles, dtype=np.uint8)  # minimum of these distances
    chosen = np.empty(num_permutations, dtype=np.int64)
    chosen[0] = np.random.default_rng(seed).integers(len(candidates))
    for number in range(1, num_permutations):
        last = chosen[number - 1]
        distance = np.zeros(len(candidates), dtype=np.uint8)
        for column, tile in zip(columns, candidates[last], strict=True):
            distance += column != tile
        total += distance
        np.minimum(nearest, distance, out=nearest)
        total[last] = np.iinfo(np.int64).min // 2  # never chosen again
        best = np.flatnonzero(total == total.max())
        chosen[number] = best[nearest[best].argmax()]
    return candidates[chosen].astype(np.int64)
