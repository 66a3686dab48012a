import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from odc_lightning.clustering import cluster_means, cluster_sums, means_of_sums, to_fixed_point

UNIT = 2**32


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("block", [1, 30, 10_000])
def test_beside_numpy(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, block: int) -> None:
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", block)
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    labels = torch.arange(50) ** 2 % 7  # 3, 5 and 6 are empty
    sums, means = cluster_sums(features, labels, 8), cluster_means(features, labels, 8)
    assert (sums.dtype, means.dtype) == (torch.int64, torch.float32)
    for cluster in range(8):
        members = features.float().double().numpy()[labels.numpy() == cluster]
        np.testing.assert_array_equal(sums[cluster], np.rint(members * UNIT).sum(axis=0))
        expected = members.mean(axis=0) if len(members) else np.zeros(4)
        np.testing.assert_allclose(means[cluster], expected, rtol=1e-6, atol=1e-7)


def test_many_equal_features_have_their_own_mean() -> None:
    """In single precision the sum of so many would be off by more than a thousandth."""
    features = torch.full((2_000_000, 1), 0.1)
    means = cluster_means(features, torch.zeros(len(features), dtype=torch.int64), 1)
    assert float(means) == pytest.approx(0.1, rel=1e-6)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30), st.randoms())
def test_features_leave_as_they_joined_in_any_order(values: list[float], random: object) -> None:
    fixed = to_fixed_point(torch.tensor(values))
    total = fixed.sum()
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for place in order:
        assert abs(int(fixed[place]) / UNIT - values[place]) <= 2**-33
        total -= fixed[place]
    assert int(total) == 0


@given(st.floats(2**-8, 2**30, width=32), st.sampled_from([-1, 1]))
def test_what_is_not_tiny_is_not_rounded(value: float, sign: int) -> None:
    assert int(to_fixed_point(torch.tensor(sign * value))) == sign * value * UNIT


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_range_is_two_thousand_million_unit_features(sign: int) -> None:
    """The sum of that many features at one corner, which no machine holds."""
    number = 2**31 - 1
    sums = to_fixed_point(torch.tensor([[float(sign)]])) * number
    assert int(sums) == sign * number * UNIT  # no overflow
    assert float(means_of_sums(sums, torch.tensor([number]))) == sign
