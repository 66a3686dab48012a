import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from odc_lightning.clustering import Backend, assign, kmeans, nearest

BACKENDS: list[Backend] = ["faiss", "torch"]


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return torch.from_numpy(load_digits().data.astype(np.float32))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("num_clusters", [10, 50])
def test_inertia_is_that_of_scikit_learn(
    digits: torch.Tensor, backend: Backend, num_clusters: int
) -> None:
    inertias = [
        kmeans(digits, num_clusters, seed=seed, backend=backend).inertia for seed in range(5)
    ]
    references = [
        KMeans(num_clusters, init="random", n_init=1, max_iter=20, random_state=seed, tol=0)
        .fit(digits.numpy())
        .inertia_
        for seed in range(5)
    ]
    # Mean over starts: a single start varies by several per cent with any implementation.
    assert np.mean(inertias) == pytest.approx(np.mean(references), rel=0.03)


@pytest.mark.parametrize("backend", BACKENDS)
def test_labels_centroids_and_inertia_belong_together(
    digits: torch.Tensor, backend: Backend
) -> None:
    result = kmeans(digits, 12, backend=backend)
    distances = torch.cdist(digits, result.centroids).square()
    torch.testing.assert_close(result.labels, distances.argmin(dim=1))
    assert result.inertia == pytest.approx(float(distances.min(dim=1).values.sum()), rel=1e-4)
    assert result.labels.dtype == torch.int64


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_iteration_from_the_same_start_is_lloyds(
    digits: torch.Tensor, backend: Backend
) -> None:
    one = kmeans(digits, 8, iterations=3, backend=backend)
    two = kmeans(digits, 8, iterations=4, backend=backend)
    means = torch.stack([digits[one.labels == c].mean(dim=0) for c in range(8)])
    torch.testing.assert_close(two.centroids, means, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_seed_gives_the_same_labels(digits: torch.Tensor, backend: Backend) -> None:
    first, again = (kmeans(digits, 20, seed=3, backend=backend) for _ in range(2))
    other = kmeans(digits, 20, seed=4, backend=backend)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_samples_are_used(backend: Backend) -> None:
    # 600 samples a cluster: faiss would subsample past 256, and the means would differ.
    points = torch.cat([torch.randn(600, 2), torch.randn(600, 2) + 100])
    result = kmeans(points, 2, backend=backend)
    means = torch.stack([points[result.labels == c].mean(dim=0) for c in range(2)])
    torch.testing.assert_close(result.centroids, means, rtol=1e-4, atol=1e-4)
    assert result.labels.bincount().tolist() == [600, 600]


@pytest.mark.parametrize("backend", BACKENDS)
def test_progress_is_reported_once_an_iteration(digits: torch.Tensor, backend: Backend) -> None:
    calls: list[None] = []
    kmeans(digits, 5, iterations=7, backend=backend, on_iteration=lambda: calls.append(None))
    assert len(calls) == 7


def test_torch_refills_a_cluster_that_runs_empty() -> None:
    points = torch.tensor([[0.0], [0.0], [0.0], [0.0], [5.0], [9.0]])
    for seed in range(20):
        result = kmeans(points, 3, seed=seed, backend="torch")
        assert result.labels.bincount(minlength=3).min() > 0
        assert result.inertia == pytest.approx(0)


def test_faiss_that_does_not_import_is_missed_only_by_who_asks_for_it(
    digits: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert torch.equal(
        kmeans(digits, 6, backend="auto").labels, kmeans(digits, 6, backend="torch").labels
    )
    with pytest.raises(ValueError, match="install faiss-gpu or faiss-cpu"):
        kmeans(digits, 6, backend="faiss")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:3], "got 3 samples for 4 clusters"),
        (lambda x: x.index_fill(0, torch.tensor([17]), torch.nan), "first at index 17"),
        (lambda x: x.index_fill(0, torch.tensor([9]), torch.inf), "first at index 9"),
    ],
)
def test_bad_features(
    digits: torch.Tensor, spoil: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kmeans(spoil(digits), 4)


def test_an_unknown_backend(digits: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="backend='sklearn'; expected auto, faiss or torch"):
        kmeans(digits, 4, backend="sklearn")  # type: ignore[arg-type]


def test_nearest_in_blocks_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    features, centroids = torch.randn(100, 7), torch.randn(9, 7)
    whole = nearest(features, centroids)
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", 20)
    parts = nearest(features, centroids)
    assert torch.equal(whole[0], parts[0])
    torch.testing.assert_close(whole[1], parts[1])
    expected = torch.cdist(features, centroids).min(dim=1)
    assert torch.equal(whole[0], expected.indices)
    torch.testing.assert_close(whole[1], expected.values.square(), rtol=1e-4, atol=1e-4)


def test_an_unknown_metric() -> None:
    with pytest.raises(ValueError, match="one of l2, dot, cosine, got 'hamming'"):
        assign(torch.randn(2, 2), torch.randn(2, 2), "hamming")  # type: ignore[arg-type]
