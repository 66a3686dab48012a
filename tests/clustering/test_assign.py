"""The nearest centroid, however it is found."""

import sys

import numpy as np
import pytest
import torch

from odc_lightning.clustering.assign import COLUMNS, best_scores


@pytest.mark.parametrize(
    "num_clusters",
    [1, 2, 1000, COLUMNS, COLUMNS + 1, 2 * COLUMNS + 70],
)
def test_the_largest_of_all_products(num_clusters: int) -> None:
    generator = torch.Generator().manual_seed(num_clusters)
    # Small whole numbers: products are exact, and many are equal.
    features = torch.randint(-3, 4, (50, 5), generator=generator).float()
    weights = torch.randint(-3, 4, (num_clusters, 5), generator=generator).float()
    bias = torch.randint(-3, 4, (num_clusters,), generator=generator).float()
    values, columns = best_scores(features, weights, bias)
    products = features.numpy() @ weights.numpy().T + bias.numpy()
    np.testing.assert_array_equal(values, products.max(axis=1))
    np.testing.assert_array_equal(columns, products.argmax(axis=1))  # the first of equal ones


def test_infinite_scores() -> None:
    """A cluster whose offset is -inf is never chosen, and one whose is +inf always."""
    features, weights = torch.randn(9, 4), torch.randn(192, 4)
    bias = torch.full((192,), -torch.inf)
    bias[69] = 0
    assert best_scores(features, weights, bias)[1].tolist() == [69] * 9
    bias[2] = torch.inf
    assert best_scores(features, weights, bias)[1].tolist() == [2] * 9


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    features, weights, bias = torch.randn(101, 6), torch.randn(75, 6), torch.randn(75)
    values, columns = best_scores(features, weights, bias)
    module = sys.modules[best_scores.__module__]
    for size, width in ((64, 16), (75, 75), (1000, 7)):
        monkeypatch.setattr(module, "SCORES", size)
        monkeypatch.setattr(module, "COLUMNS", width)
        found = best_scores(features, weights, bias)
        torch.testing.assert_close(found[0], values)
        assert torch.equal(found[1], columns)


def test_no_samples() -> None:
    values, columns = best_scores(torch.zeros(0, 4), torch.zeros(3, 4), torch.zeros(3))
    assert values.shape == columns.shape == (0,)
