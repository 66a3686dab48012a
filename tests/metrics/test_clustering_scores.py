"""Clustering scores against values worked out by hand, obvious loops and torchmetrics."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.functional.clustering as reference
from hypothesis import given
from hypothesis import strategies as st

from odc_lightning.metrics import cluster_entropy, normalized_mutual_information
from odc_lightning.metrics.clustering_scores import (
    adjusted_mutual_information,
    adjusted_rand_index,
    clustering_scores,
    hungarian_accuracy,
    purity,
)

NAMES = ["nmi", "ami", "ari", "purity", "accuracy"]
Pairs = list[tuple[int, int]]


@st.composite
def labellings(draw: st.DrawFn) -> tuple[Any, Any]:
    """Classes and clusters (N,) of a few samples, as arrays."""
    pairs: Pairs = draw(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=20)
    )
    truth, clusters = np.array(pairs).T
    return truth, clusters


def test_nmi_does_not_care_what_the_labels_are_called() -> None:
    assert normalized_mutual_information([0, 0, 1, 2], [7, 7, 0, 3]) == pytest.approx(1)


def test_nmi_of_independent_labels_is_zero() -> None:
    assert normalized_mutual_information([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0, abs=1e-12)


def test_nmi_divides_by_the_arithmetic_mean() -> None:
    # A = halves, B = single samples: H(A) = ln 2, H(B) = ln 4, I(A; B) = ln 2
    a, b = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 2, 3])
    expected = math.log(2) / ((math.log(2) + math.log(4)) / 2)
    assert normalized_mutual_information(a, b) == pytest.approx(expected)
    assert normalized_mutual_information(b, a.numpy()) == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[], [[0], [1]], [0, 1, 2]])
def test_nmi_refuses_labels_that_do_not_match(labels: list[int]) -> None:
    other = labels if len(labels) < 3 else [0, 1]
    with pytest.raises(ValueError, match=r"expected \(N,\) twice"):
        normalized_mutual_information(labels, other)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 5, 5, 5], 1.0),
        ([9, 0, 0], 0.0),
        ([4, 4, 0, 0], 0.5),  # ln 2 / ln 4
        ([2, 1, 1], (0.5 * math.log(2) + 0.5 * math.log(4)) / math.log(3)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_entropy(counts: list[int], expected: float, dtype: torch.dtype) -> None:
    entropy = cluster_entropy(torch.tensor(counts, dtype=dtype))
    assert entropy.shape == ()
    assert entropy.item() == pytest.approx(expected, abs=1e-6)


def test_entropy_reads_no_value_on_the_host() -> None:
    assert cluster_entropy(torch.ones(3, device="meta")).is_meta  # has no values to read


def test_entropy_of_no_samples_is_nan() -> None:
    assert cluster_entropy(torch.zeros(3)).isnan()


@pytest.mark.parametrize("shape", [(1,), (2, 2), ()])
def test_entropy_needs_at_least_two_clusters(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two clusters"):
        cluster_entropy(torch.ones(shape))


def test_all_scores_of_two_labellings_worked_out_by_hand() -> None:
    # Cluster 0 has classes a a a b, cluster 1 has b b c, cluster 2 has c.
    truth, clusters = [0, 0, 0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1, 1, 2]
    scores = clustering_scores(truth, clusters)
    assert list(scores) == NAMES
    assert scores["purity"] == pytest.approx((3 + 2 + 1) / 8)
    assert scores["accuracy"] == pytest.approx((3 + 2 + 1) / 8)  # a, b and c have each one of them
    # Pairs together in both: 3 + 1 + 0; in the classes: 3 + 3 + 1; in the clusters: 6 + 3; of 28.
    chance = 7 * 9 / 28
    assert scores["ari"] == pytest.approx((4 - chance) / ((7 + 9) / 2 - chance))
    assert scores["nmi"] == pytest.approx(normalized_mutual_information(truth, clusters))


def test_purity_lets_clusters_share_a_class_and_accuracy_does_not() -> None:
    truth, clusters = [0, 0, 0, 0, 1], [0, 0, 1, 2, 0]
    assert purity(truth, clusters) == pytest.approx(4 / 5)
    assert hungarian_accuracy(truth, clusters) == pytest.approx(2 / 5)  # one cluster has class 0
    assert purity(clusters, truth) == pytest.approx(3 / 5)  # not symmetric
    assert hungarian_accuracy(clusters, truth) == pytest.approx(2 / 5)


def test_the_largest_class_of_a_cluster_is_not_always_its_partner() -> None:
    # Taking the largest entry first gives 4 + 0, the best matching 3 + 3.
    counts = [[4, 3], [3, 0]]
    pairs = [(c, k) for k in range(2) for c in range(2) for _ in range(counts[k][c])]
    truth, clusters = zip(*pairs, strict=True)
    assert hungarian_accuracy(truth, clusters) == pytest.approx(6 / 10)


def test_the_same_partition_has_every_score_one() -> None:
    truth = torch.tensor([5, 5, 2, 2, 9])
    scores = clustering_scores(truth, np.array([1, 1, 0, 0, 7]))
    assert scores == pytest.approx(dict.fromkeys(NAMES, 1.0))


def test_adjusted_scores_of_random_clusters_are_about_zero() -> None:
    rng = np.random.default_rng(0)
    truth, clusters = rng.integers(0, 10, 2000), rng.integers(0, 100, 2000)
    assert normalized_mutual_information(truth, clusters) > 0.05  # what they correct
    assert abs(adjusted_mutual_information(truth, clusters)) < 0.01
    assert abs(adjusted_rand_index(truth, clusters)) < 0.01


def test_adjusted_scores_may_be_negative() -> None:
    truth, clusters = [0, 0, 1, 1], [0, 1, 0, 1]
    assert adjusted_rand_index(truth, clusters) == pytest.approx(-0.5)
    assert adjusted_mutual_information(truth, clusters) < 0


@given(labellings())
def test_accuracy_is_the_best_over_all_matchings(pair: tuple[Any, Any]) -> None:
    truth, clusters = pair
    best = max(
        np.mean([matching[cluster] == c for c, cluster in zip(truth, clusters, strict=True)])
        for matching in itertools.permutations(range(6))
    )
    assert hungarian_accuracy(truth, clusters) == pytest.approx(best)


@given(labellings())
def test_purity_is_that_of_the_loop(pair: tuple[Any, Any]) -> None:
    truth, clusters = pair
    frequent = sum(np.bincount(truth[clusters == k]).max() for k in set(clusters.tolist()))
    assert purity(truth, clusters) == pytest.approx(frequent / len(truth))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(("num_classes", "num_clusters"), [(3, 4), (10, 50), (12, 5), (1, 3)])
def test_scores_are_those_of_torchmetrics(num_classes: int, num_clusters: int) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(num_classes, (400,), generator=generator)
    clusters = torch.randint(num_clusters, (400,), generator=generator)
    clusters = torch.where(torch.rand(400, generator=generator) < 0.5, truth, clusters)
    scores = clustering_scores(truth, clusters)
    for name, function in {
        "nmi": reference.normalized_mutual_info_score,
        "ami": reference.adjusted_mutual_info_score,
        "ari": reference.adjusted_rand_score,
    }.items():
        assert scores[name] == pytest.approx(float(function(clusters, truth)), abs=1e-4), name


@given(labellings(), st.randoms(use_true_random=False))
def test_neither_names_nor_order_matter(pair: tuple[Any, Any], random: Any) -> None:
    names, order = list(range(100)), list(range(len(pair[0])))
    random.shuffle(names)
    random.shuffle(order)
    renamed = [np.array(names)[labels][order] for labels in pair]
    assert clustering_scores(*renamed) == pytest.approx(clustering_scores(*pair))


@given(labellings())
def test_what_holds_for_any_two_labellings(pair: tuple[Any, Any]) -> None:
    truth, clusters = pair
    scores, swapped = clustering_scores(truth, clusters), clustering_scores(clusters, truth)
    for name in ("nmi", "ami", "ari", "accuracy"):
        assert scores[name] == pytest.approx(swapped[name], abs=1e-9), name
    assert 0 < scores["accuracy"] <= scores["purity"] <= 1
    frequent = [np.bincount(truth[clusters == k]).argmax() for k in set(clusters.tolist())]
    if len(set(frequent)) == len(frequent):  # no two clusters want the same class
        assert scores["accuracy"] == scores["purity"]
    assert purity(truth, range(len(truth))) == 1
    assert purity(truth, np.zeros_like(truth)) == hungarian_accuracy(truth, np.zeros_like(truth))
    assert clustering_scores(truth, truth) == pytest.approx(dict.fromkeys(NAMES, 1.0))


@pytest.mark.parametrize(
    "score",
    [adjusted_mutual_information, adjusted_rand_index, purity, hungarian_accuracy],
)
def test_every_score_refuses_labels_that_do_not_match(score: Any) -> None:
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\), expected \(N,\) twice"):
        score([0, 1, 2], [0, 1])
