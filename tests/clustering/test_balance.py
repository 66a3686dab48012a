"""Scores by hand; offsets against Sinkhorn and Knopp's own scaling of a matrix."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from odc_lightning.clustering import assign, balancing_offsets, scores


@pytest.mark.parametrize("metric", ["l2", "dot", "cosine"])
def test_the_largest_score_is_the_label(metric: str) -> None:
    torch.manual_seed(0)
    features, centroids, offsets = torch.randn(50, 4), 3 * torch.randn(7, 4), torch.randn(7)
    found = scores(features, centroids, metric, offsets)  # type: ignore[arg-type]
    for i in range(50):
        for c in range(7):
            f, m = features[i].double(), centroids[c].double()
            by_hand = {
                "l2": float(f @ f - (f - m) @ (f - m)) / 2,
                "dot": float(f @ m),
                "cosine": float(f @ m / m.norm()),
            }[metric]
            assert float(found[i, c]) == pytest.approx(by_hand + float(offsets[c]), abs=1e-4)
    labels = assign(features, centroids, metric, offsets)  # type: ignore[arg-type]
    assert torch.equal(labels, found.argmax(dim=1))


def test_offsets_are_what_sinkhorn_and_knopp_find() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.normal(size=(200, 6)) + np.array([3.0, 0, 0, 0, -1, 0])
    matrix = np.exp(similarity / 0.5)
    for _ in range(500):  # to the end: all rows sum to 1, all columns to 200 / 6
        matrix *= 200 / 6 / matrix.sum(axis=0, keepdims=True)
        matrix /= matrix.sum(axis=1, keepdims=True)
    offsets = balancing_offsets(torch.from_numpy(similarity), 0.5, iterations=500)
    found = torch.softmax((torch.from_numpy(similarity) + offsets) / 0.5, dim=1)
    np.testing.assert_allclose(found, matrix, atol=1e-9)
    np.testing.assert_allclose(found.sum(dim=0), 200 / 6, rtol=1e-9)
    assert float(offsets.mean()) == pytest.approx(0)


def test_offsets_even_out_labels_of_other_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    centroids = normalize(torch.randn(8, 16, generator=generator), dim=1)
    # Most samples lie near the first centroid.
    features = torch.randn(8000, 16, generator=generator) + 4 * centroids[0]
    features = normalize(features, dim=1)
    seen, others = features[:4000], features[4000:]
    before = assign(others, centroids, "cosine").bincount(minlength=8)
    offsets = balancing_offsets(scores(seen, centroids, "cosine"), 0.05, iterations=20)
    after = assign(others, centroids, "cosine", offsets).bincount(minlength=8)
    assert before.max() > 3000  # sanity check
    assert after.max() < 800
    assert after.min() > 250


def test_extreme_scores_stay_finite() -> None:
    torch.manual_seed(0)
    similarity = torch.tensor([[1.0, -1.0, 0.0]]).repeat(300, 1) + 0.1 * torch.randn(300, 3)
    offsets = balancing_offsets(similarity, 0.01, iterations=200)  # odds of e to the 200
    assert bool(offsets.isfinite().all())
    shares = torch.softmax((similarity + offsets) / 0.01, dim=1).sum(dim=0)
    torch.testing.assert_close(shares, torch.full((3,), 100.0), rtol=0.05, atol=0)
