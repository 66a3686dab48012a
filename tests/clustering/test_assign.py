"""The nearest centroid, however it is found."""

import numpy as np
import pytest
import torch

from odc_lightning.clustering.assign import COLUMNS, WIDTH, best_scores


@pytest.mark.parametrize(
    "num_clusters",
    [1, 2, WIDTH - 1, WIDTH, WIDTH + 1, 1000, COLUMNS, COLUMNS + 1, 2 * COLUMNS + 70],
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
    features, weights = torch.randn(9, 4), torch.randn(3 * WIDTH, 4)
    bias = torch.full((3 * WIDTH,), -torch.inf)
    bias[WIDTH + 5] = 0
    assert best_scores(features, weights, bias)[1].tolist() == [WIDTH + 5] * 9
    bias[2] = torch.inf
    assert best_scores(features, weights, bias)[1].tolist() == [2] * 9
