"""Each measure against a slow and obvious reference, and at its limits."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor

from odc_lightning.metrics import effective_rank
from odc_lightning.metrics.adaptation import (
    DIRECTIONS,
    NAMES,
    RIDGE,
    adaptation_measures,
    cluster_stability,
    criterion,
    fisher_ratio,
    neighbours_agree,
    neighbours_kept,
    neighbours_of,
    view_retrieval,
)

N, M, V, D = 60, 12, 4, 7


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def images() -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, D) far from the origin, the measured images (M,), and noisy views (M, V, D)."""
    features = randn(N, D) + 5
    own = torch.arange(0, N, N // M)
    return features, own, features[own].unsqueeze(1) + randn(M, V, D, seed=1) * 0.4


def cosine(a: Tensor, b: Tensor, mean: Tensor) -> float:
    """In double precision, of two vectors after the mean is subtracted."""
    x, y = (a - mean).double(), (b - mean).double()
    return float(x @ y / (x.norm() * y.norm()))


def nearest(query: Tensor, features: Tensor, k: int, without: int = -1) -> list[int]:
    """One by one, by a sort."""
    others = [i for i in range(len(features)) if i != without]
    mean = features.mean(dim=0)
    return sorted(others, key=lambda i: -cosine(query, features[i], mean))[:k]


def shared(a: list[int], b: list[int]) -> float:
    return len({*a} & {*b}) / len(a)


@pytest.mark.parametrize(
    ("num_images", "k"), [(60, 1), (199, 1), (450, 4), (9_999, 99), (10_500, 100)]
)
def test_retrieval_counts_the_views_that_find_their_image_among_one_percent(
    num_images: int, k: int
) -> None:
    features, own = randn(num_images, 3) + 5, torch.arange(num_images)[-1500:]
    views = features[own] + 0.3 * randn(len(own), 3, seed=1)
    # The place of each view's own image among all, by all similarities in double precision.
    rows, asked = (
        torch.nn.functional.normalize((each - features.mean(dim=0)).double(), dim=1)
        for each in (features, views)
    )
    similar = asked @ rows.T
    places = (similar > similar.gather(1, own[:, None])).sum(dim=1)
    shares = [float((places < most).double().mean()) for most in (k - 1, k, k + 1)]
    assert 0 <= shares[0] < shares[1] < shares[2] < 1
    assert view_retrieval(views, features, own) == pytest.approx(shares[1])
    assert view_retrieval(features[own], features, own) == 1


@pytest.mark.parametrize("k", [1, 10, 59, 100])
def test_neighbours_of_another_network_are_compared(k: int) -> None:
    now, start = randn(N, D) + 3, randn(N, 5, seed=1)
    start[:, :3] += now[:, :3] * 2
    own = torch.tensor([3, 17, 40])
    most = min(k, N - 1)
    shares = [
        shared(nearest(now[i], now, most, i), nearest(start[i], start, most, i))
        for i in own.tolist()
    ]
    assert neighbours_kept(now, start, own, k) == pytest.approx(np.mean(shares))
    assert neighbours_kept(now, now * 3 + 1, own, k) == 1


def test_two_views_agree_on_their_neighbours() -> None:
    features, own, views = images()
    shares = [
        shared(*(nearest(views[m, v], features, 10, int(own[m])) for v in (0, 1))) for m in range(M)
    ]
    assert 0.2 < np.mean(shares) < 0.9
    found = neighbours_agree(views[:, 0], views[:, 1], features, own)
    assert found == pytest.approx(np.mean(shares))


def test_identical_images_have_neighbours() -> None:
    """An image among more than k twins may not be found itself; k others are."""
    features = randn(2, D).repeat(20, 1)
    found = neighbours_of(features, torch.arange(40), k=5)
    assert found.shape == (40, 5)
    assert bool((found != torch.arange(40).unsqueeze(1)).all())
    assert bool((found % 2 == torch.arange(40).unsqueeze(1) % 2).all())


@pytest.mark.parametrize("dim", [3, 100])
def test_fisher_ratio_is_the_mean_generalised_eigenvalue(dim: int) -> None:
    views = randn(80, 1, dim).mul(3) + randn(80, V, dim, seed=1)
    x = views.double().numpy()
    means = x.mean(axis=1)
    centred = means - means.mean(axis=0)
    directions = np.linalg.svd(centred)[2][:DIRECTIONS].T
    between = np.cov((centred @ directions).T, bias=True)
    deviations = (x - means[:, None]).reshape(-1, dim) @ directions
    within = sum(np.outer(each, each) for each in deviations) / len(deviations)
    within += RIDGE * np.trace(between) / len(between) * np.eye(len(between))
    expected = np.linalg.eigvals(np.linalg.solve(within, between)).real.mean()
    assert fisher_ratio(views) == pytest.approx(expected, rel=1e-6)
    assert 5 < expected < 30


def test_fisher_ratio_without_variance() -> None:
    same = randn(1, 1, D).expand(M, V, D)
    assert fisher_ratio(same) == 0
    equal_views = randn(M, 1, D).expand(M, V, D)
    assert math.isfinite(fisher_ratio(equal_views))
    assert fisher_ratio(equal_views) > 1000
    assert math.isfinite(fisher_ratio(torch.zeros(2, 2, 1)))


def test_clusters_of_two_views() -> None:
    centres = randn(4, D) * 4
    rows = centres.repeat(20, 1)
    a, b = rows + randn(80, D) * 0.05, rows + randn(80, D, seed=1) * 0.05
    b[:20] = b[:20].flip(0)
    labels = torch.arange(80) % 4
    moved = torch.cat([labels[:20].flip(0), labels[20:]])
    expected = adjusted_mutual_info_score(labels, moved)
    assert 0.5 < expected < 0.95
    # K-Means from some seeds finds the four groups in both.
    found = [cluster_stability(a, b, 4, seed) for seed in range(40)]
    assert any(value == pytest.approx(expected) for value in found)
    assert cluster_stability(a, a, 4) == 1
    assert abs(cluster_stability(randn(80, D), randn(80, D, seed=1), 10)) < 0.2
    assert cluster_stability(a[:2], b[:2], 0) == 1  # two images are two clusters


def test_all_measures_by_name() -> None:
    features, own, views = images()
    start = neighbours_of(features * 2, own)
    found = adaptation_measures(features, views, own, start)
    assert tuple(found) == NAMES
    pairs = [neighbours_agree(views[:, v], views[:, v + 1], features, own) for v in (0, 2)]
    assert found["neighbours_agree"] == pytest.approx(np.mean(pairs))
    expected = found["neighbours_agree"] * found["neighbours_kept"] ** (1 / 5)
    assert criterion(found) == expected
    assert found["neighbours_kept"] == 1
    each = [view_retrieval(views[:, v], features, own) for v in range(V)]
    assert found["view_retrieval"] == pytest.approx(np.mean(each))
    unit = torch.nn.functional.normalize(features[own] - features.mean(dim=0), dim=1)
    assert found["effective_rank"] == pytest.approx(effective_rank(unit))
    assert 0 < found["fisher_ratio"] < 1000


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_has_no_measure(bad: float) -> None:
    features, own, views = images()
    start = neighbours_of(features, own)
    views[3, 1, 2] = bad
    found = adaptation_measures(features, views, own, start)
    assert all(math.isnan(value) for value in found.values())


def test_a_collapsed_network_has_finite_measures() -> None:
    features, views = torch.ones(N, D), torch.ones(M, V, D)
    own = torch.arange(M)
    found = adaptation_measures(features, views, own, neighbours_of(randn(N, D), own))
    assert all(math.isfinite(value) for value in found.values())
    assert found["view_retrieval"] < 0.2
