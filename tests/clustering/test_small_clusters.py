import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from odc_lightning.clustering import Relabelling, check_num_clusters, plan_relabelling, two_means


def plan(
    features: torch.Tensor, labels: torch.Tensor, num_clusters: int, seed: int = 0, **options: Any
) -> tuple[Relabelling, torch.Tensor]:
    """The plan, and the labels after it."""
    counts = torch.bincount(labels, minlength=num_clusters)
    centroids = torch.zeros(num_clusters, features.shape[1])
    for c in range(num_clusters):
        if counts[c] > 0:
            centroids[c] = features[labels == c].mean(dim=0)
    result = plan_relabelling(
        features, labels, counts, centroids, rng=np.random.default_rng(seed), **options
    )
    after = labels.clone()
    after[result.indices] = result.labels
    return result, after


def test_nothing_to_do() -> None:
    result, _ = plan(torch.randn(20, 2), torch.arange(20) % 4, 4, threshold=4)
    assert result.num_splits == len(result.indices) == len(result.clusters) == 0


def test_a_small_cluster_is_dispersed_and_the_largest_split() -> None:
    # Cluster 0: two groups of 10, at 0 and at 10. Cluster 1: 6 at 20. Cluster 2: 1 at 21.
    positions = [0.0] * 10 + [10.0] * 10 + [20.0] * 6 + [21.0]
    labels = torch.tensor([0] * 20 + [1] * 6 + [2])
    result, after = plan(torch.tensor(positions)[:, None], labels, 3, threshold=2)
    assert after[26] == 1  # to its nearest normal centroid
    assert set(after[:10].tolist()) | set(after[10:20].tolist()) == {0, 2}
    assert len(set(after[:10].tolist())) == len(set(after[10:20].tolist())) == 1
    assert result.num_splits == 1
    assert sorted(result.clusters.tolist()) == [0, 2]


def test_which_half_moves_is_random_and_seeded() -> None:
    features = torch.tensor([0.0] * 10 + [10.0] * 10)[:, None]
    labels = torch.zeros(20, dtype=torch.int64)
    moved = [
        int(plan(features, labels, 2, seed=seed, threshold=2)[1][0] == 1) for seed in range(100)
    ]
    assert 25 < sum(moved) < 75
    again = [
        int(plan(features, labels, 2, seed=seed, threshold=2)[1][0] == 1) for seed in range(100)
    ]
    assert moved == again


@settings(max_examples=200, deadline=None)
@given(data=st.data(), num_clusters=st.integers(2, 8), threshold=st.integers(0, 5))
def test_every_cluster_ends_up_normal(
    data: st.DataObject, num_clusters: int, threshold: int
) -> None:
    least = num_clusters * (threshold + 1)
    num_samples = data.draw(st.integers(least, least + 30))
    labels = torch.tensor(
        data.draw(
            st.lists(st.integers(0, num_clusters - 1), min_size=num_samples, max_size=num_samples)
        )
    )
    # Few distinct positions: many samples coincide, the hard case for 2-means.
    positions = data.draw(st.lists(st.integers(0, 3), min_size=num_samples, max_size=num_samples))
    features = torch.tensor(positions, dtype=torch.float32)[:, None]
    result, after = plan(features, labels, num_clusters, threshold=threshold)
    assert after.bincount(minlength=num_clusters).min() > threshold
    assert (labels[result.indices] != result.labels).all()
    small = (labels.bincount(minlength=num_clusters) <= threshold).nonzero().flatten()
    assert set(small.tolist()) <= set(result.clusters.tolist())


def test_one_round_may_leave_small_clusters() -> None:
    # An outlier is split off: the new cluster has one member.
    features = torch.tensor([0.0] * 9 + [1000.0])[:, None]
    _, after = plan(
        features,
        torch.zeros(10, dtype=torch.int64),
        2,
        threshold=2,
        repeat=False,
        moved_half="first",
    )
    assert sorted(after.bincount().tolist()) == [1, 9]
    _, after = plan(features, torch.zeros(10, dtype=torch.int64), 2, threshold=2)
    assert after.bincount().min() > 2


def test_too_few_samples_for_the_threshold() -> None:
    with pytest.raises(ValueError, match=r"so at most 3\."):
        plan(torch.randn(12, 2), torch.arange(12) % 4, 4, threshold=3)


def test_two_means_finds_two_groups() -> None:
    features = torch.cat([torch.randn(30, 4), torch.randn(50, 4) + 20])
    for seed in range(20):
        second = two_means(features, np.random.default_rng(seed))
        assert len(set(second[:30].tolist())) == len(set(second[30:].tolist())) == 1
        assert second[0] != second[30]


@pytest.mark.parametrize("size", [2, 3, 10])
def test_two_means_of_samples_that_coincide_cuts_in_the_middle(size: int) -> None:
    second = two_means(torch.ones(size, 3), np.random.default_rng(0))
    assert second.sum() == size - size // 2


def test_the_papers_numbers_pass() -> None:
    check_num_clusters(1_281_167, 10_000, 20)
    check_num_clusters(10, 2, 0)


@pytest.mark.parametrize(
    ("num_samples", "num_clusters", "threshold"),
    [(1000, 1, 20), (1000, 0, 20), (5, 10, 0), (100, 10, 10), (1437, 10_000, 20)],
)
def test_too_few_images_a_cluster(num_samples: int, num_clusters: int, threshold: int) -> None:
    given = f"num_clusters={num_clusters} with {num_samples:,} images"
    with pytest.raises(ValueError, match=given):
        check_num_clusters(num_samples, num_clusters, threshold)


@given(st.integers(0, 5000), st.integers(-1, 5000), st.integers(0, 50))
def test_suggested_number_is_accepted(num_samples: int, num_clusters: int, threshold: int) -> None:
    try:
        check_num_clusters(num_samples, num_clusters, threshold)
    except ValueError as error:
        suggested = re.search(r"Try algorithm\.num_clusters=(\d+)", str(error))
        if suggested is not None:
            check_num_clusters(num_samples, int(suggested[1]), threshold)
        else:
            assert num_samples < 2 * (threshold + 1)


def test_suggestion_follows_the_paper() -> None:
    with pytest.raises(ValueError, match=r"at most 68\. Try algorithm\.num_clusters=11 "):
        check_num_clusters(1437, 100, 20)
