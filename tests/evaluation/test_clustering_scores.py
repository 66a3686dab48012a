"""Clustering scores against values worked out by hand."""

import math

import pytest
import torch

from odc_lightning.evaluation import cluster_entropy, normalized_mutual_information


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
