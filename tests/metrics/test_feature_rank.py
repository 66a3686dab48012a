"""The effective rank beside NumPy's singular values, and where it is known."""

import math

import numpy as np
import pytest
import torch

from odc_lightning.metrics import effective_rank


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (1, 5), (5, 1)])
def test_beside_numpy(shape: tuple[int, int]) -> None:
    features = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 3, shape[1])
    values = np.linalg.svd(features, compute_uv=False)
    shares = [value / values.sum() for value in values]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert effective_rank(torch.from_numpy(features)) == pytest.approx(expected, rel=1e-5)


def test_known_ranks() -> None:
    """Orthogonal rows of one length use all directions; multiples of one row use one."""
    assert effective_rank(3 * torch.eye(7, 20)) == pytest.approx(7)
    row = torch.tensor([[1.0, -2.0, 0.5]])
    assert effective_rank(torch.arange(1.0, 9.0).view(8, 1) * row) == pytest.approx(1, abs=1e-3)
    # Two directions, one three times as strong: p is 1/4 and 3/4.
    expected = math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    uneven = torch.diag(torch.tensor([1.0, 3.0, 0.0]))
    assert effective_rank(uneven) == pytest.approx(expected)
    assert effective_rank(1e3 * uneven.half()) == pytest.approx(expected)


def test_collapse_and_what_is_no_number() -> None:
    assert effective_rank(torch.zeros(4, 3)) == 0
    assert math.isnan(effective_rank(torch.tensor([[1.0, float("nan")]])))
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        effective_rank(torch.zeros(0, 3))
