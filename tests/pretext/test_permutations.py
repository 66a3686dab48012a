"""The greedy set of permutations against a slow one, and what holds for nine tiles."""

import itertools

import numpy as np
import pytest

from odc_lightning.pretext import maximal_hamming_permutations


def distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_greedy_algorithm_for_four_tiles(seed: int) -> None:
    """Among all that are left: largest mean distance, then largest least one, then the first."""
    found = [tuple(row) for row in maximal_hamming_permutations(24, 4, seed).tolist()]
    everything = list(itertools.permutations(range(4)))
    chosen = found[:1]
    while len(chosen) < 24:
        left = [p for p in everything if p not in chosen]
        scores = [([distance(p, c) for c in chosen], p) for p in left]
        best = max(scores, key=lambda each: (sum(each[0]), min(each[0])))
        chosen.append(best[1])  # `max` keeps the first of equals
    assert found == chosen
    assert sorted(found) == everything


def test_nine_tiles() -> None:
    found = maximal_hamming_permutations(100, 9, seed=0)
    assert found.shape == (100, 9)
    assert (np.sort(found, axis=1) == np.arange(9)).all()
    distances = (found[:, None] != found[None]).sum(axis=2)
    off = distances[~np.eye(100, dtype=bool)]
    assert off.min() >= 4
    # Random permutations differ in 8 of 9 places on average; in the first nine, in all of them.
    assert off.mean() > 8.05
    assert (distances[:9, :9] == 9 * (1 - np.eye(9))).all()


def test_the_seed_decides_and_a_smaller_set_is_the_start_of_a_larger_one() -> None:
    a = maximal_hamming_permutations(20, 9, seed=1)
    assert (a == maximal_hamming_permutations(30, 9, seed=1)[:20]).all()
    assert (a != maximal_hamming_permutations(20, 9, seed=2)).any()


@pytest.mark.parametrize(
    ("num", "tiles", "message"),
    [
        (25, 4, r"num_permutations=25, expected 1 to 24, .*algorithm\.num_clusters"),
        (0, 4, "num_permutations=0"),
        (5, 10, "num_tiles=10, expected 1 to 9"),
    ],
)
def test_what_cannot_be(num: int, tiles: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        maximal_hamming_permutations(num, tiles, seed=0)
