"""How many images are held back, and which."""

import numpy as np
import pytest

from odc_lightning.data.held_back import held_back_rows, num_held_back


@pytest.mark.parametrize(
    ("num_samples", "share", "expected"),
    [
        (1000, 0.0, 0),
        (99, 0.2, 0),
        (100, 0.01, 20),  # at least 50, but never more than a fifth
        (249, 0.1, 49),
        (250, 0.1, 50),
        (400, 0.1, 50),
        (1000, 0.1, 100),
        (1000, 0.2, 200),
        (60_000, 0.1, 1000),
    ],
)
def test_number(num_samples: int, share: float, expected: int) -> None:
    assert num_held_back(num_samples, share) == expected
    rows = held_back_rows(num_samples, share, seed=3)
    assert len(rows) == len(set(rows.tolist())) == expected


def test_they_depend_on_the_seed_alone() -> None:
    rows = held_back_rows(1000, 0.1, seed=0)
    np.testing.assert_array_equal(rows, held_back_rows(1000, 0.1, seed=0))
    np.testing.assert_array_equal(rows, np.sort(rows))
    assert 2 < len(np.intersect1d(rows, held_back_rows(1000, 0.1, seed=1))) < 25
    assert rows.min() < 50 < 950 < rows.max()
