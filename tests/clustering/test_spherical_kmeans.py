"""Spherical K-Means against loops, and what it says about clusters without members."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering import assign, spherical_kmeans
from odc_lightning.clustering.spherical_kmeans import SphericalKMeansResult


def unit_rows(num_samples: int, dim: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(num_samples, dim, generator=generator), dim=1)


def slow(
    features: np.ndarray, num_clusters: int, iterations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A loop over samples and a loop over clusters."""
    first = np.random.default_rng(seed).choice(len(features), num_clusters, replace=False)
    centroids = features[first].copy()

    def labelled() -> np.ndarray:
        return np.array(
            [max(range(num_clusters), key=lambda c: x @ centroids[c]) for x in features]
        )

    for _ in range(iterations):
        labels = labelled()
        for c in range(num_clusters):
            members = features[labels == c]
            if len(members) > 0:
                mean = members.mean(axis=0)
                centroids[c] = mean / np.linalg.norm(mean)
    return labelled(), centroids


def run(features: Tensor, num_clusters: int, iterations: int, seed: int) -> SphericalKMeansResult:
    rng = np.random.default_rng(seed)
    return spherical_kmeans(features, num_clusters, iterations=iterations, rng=rng)


@pytest.mark.parametrize("iterations", [0, 1, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_slow_reference(iterations: int, seed: int) -> None:
    features = unit_rows(120, 6)
    labels, centroids = run(features, 7, iterations, seed)
    expected_labels, expected_centroids = slow(features.double().numpy(), 7, iterations, seed)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(centroids, expected_centroids, atol=1e-5)


def test_in_blocks_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features = unit_rows(120, 6)
    whole = run(features, 7, 10, 0)
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", 7 * 11)
    parts = run(features, 7, 10, 0)
    assert torch.equal(whole.labels, parts.labels)
    assert torch.equal(whole.centroids, parts.centroids)


def test_labels_belong_to_the_centroids_which_have_unit_length() -> None:
    features = unit_rows(200, 8)
    labels, centroids = run(features, 10, 3, 0)
    assert torch.equal(labels, assign(features, centroids, "dot"))
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(10))


def test_an_empty_cluster_keeps_its_centroid() -> None:
    features = unit_rows(1, 4).repeat(20, 1)
    labels, centroids = run(features, 3, 5, 0)
    assert labels.unique().tolist() == [0]  # of equal dot products the first
    torch.testing.assert_close(centroids, features[:3])


def test_the_seed_chooses_the_first_centroids() -> None:
    features = unit_rows(200, 8)
    assert torch.equal(run(features, 10, 2, 0).labels, run(features, 10, 2, 0).labels)
    assert not torch.equal(run(features, 10, 2, 0).labels, run(features, 10, 2, 1).labels)


def test_input_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5 samples for 6 clusters.*algorithm\.num_clusters"):
        run(unit_rows(5, 4), 6, 1, 0)
    features = unit_rows(5, 4)
    features[3, 1] = torch.nan
    with pytest.raises(ValueError, match="the first at index 3"):
        run(features, 2, 1, 0)
