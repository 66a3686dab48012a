import numpy as np
import pytest
import torch

from odc_lightning.clustering import cluster_means, cluster_sums


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("block", [1, 30, 10_000])
def test_beside_numpy(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, block: int) -> None:
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", block)
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    labels = torch.arange(50) ** 2 % 7  # 3, 5 and 6 are empty
    sums, means = cluster_sums(features, labels, 8), cluster_means(features, labels, 8)
    assert (sums.dtype, means.dtype) == (torch.float64, torch.float32)
    for cluster in range(8):
        members = features.double().numpy()[labels.numpy() == cluster]
        np.testing.assert_allclose(sums[cluster], members.sum(axis=0), rtol=1e-12, atol=1e-12)
        expected = members.mean(axis=0) if len(members) else np.zeros(4)
        np.testing.assert_allclose(means[cluster], expected, rtol=1e-6, atol=1e-7)


def test_many_equal_features_have_their_own_mean() -> None:
    """In single precision the sum of so many would be off by more than a thousandth."""
    features = torch.full((2_000_000, 1), 0.1)
    means = cluster_means(features, torch.zeros(len(features), dtype=torch.int64), 1)
    assert float(means) == pytest.approx(0.1, rel=1e-6)
