"""The scores by labels, against slow calculations and known cases."""

import numpy as np
import pytest
import torch
from scripts.adapt.label_scores import (
    ami_of_kmeans,
    clusters_of,
    draws,
    label_scores,
    scored_rows,
)
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
from torch import Tensor

LABELS = np.repeat([0, 2, 5], 20)


def blobs(spread: float, seed: int = 0) -> Tensor:
    """Features (60, 8) around a centre for each class, far from the origin and of any length."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 8)) + 4
    rows = np.repeat(centres, 20, axis=0) + spread * rng.normal(size=(60, 8))
    return torch.from_numpy(rows * rng.uniform(1, 3, (60, 1))).float()


def slow_knn(features: Tensor) -> float:
    """Weighted votes of the 20 nearest others, one image at a time."""
    unit = (features / features.norm(dim=1, keepdim=True)).double().numpy()
    right = 0
    for row in range(60):
        cosines = unit @ unit[row]
        cosines[row] = -2
        votes = dict.fromkeys((0, 2, 5), 0.0)
        for other in np.argsort(-cosines)[:20]:
            votes[int(LABELS[other])] += np.exp(cosines[other] / 0.07)
        right += max(votes, key=lambda label: votes[label]) == LABELS[row]
    return right / 60


def slow_ten_shot(features: Tensor) -> float:
    """Ridge regression on -1 and 1 with an intercept, by the normal equations."""
    unit = (features / features.norm(dim=1, keepdim=True)).double().numpy()
    unit = unit - unit.mean(axis=0)
    scores = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = np.concatenate([20 * i + rng.permutation(20)[:10] for i in range(3)])
        others = np.setdiff1d(np.arange(60), rows)
        targets = np.where(LABELS[rows, None] == np.array([0, 2, 5]), 1.0, -1.0)
        mean, middle = unit[rows].mean(axis=0), targets.mean(axis=0)
        centred = unit[rows] - mean
        inverse = np.linalg.inv(centred.T @ centred + 0.1 * np.eye(8))
        weights = inverse @ centred.T @ (targets - middle)
        found = ((unit[others] - mean) @ weights + middle).argmax(axis=1)
        scores.append((np.array([0, 2, 5])[found] == LABELS[others]).mean())
    return float(np.mean(scores))


def test_scores_are_those_of_slow_calculations() -> None:
    features = blobs(1.2)
    found = label_scores(features, LABELS)
    assert 0.5 < found["knn"] < 0.99
    assert found["knn"] == pytest.approx(slow_knn(features))
    assert found["ten_shot"] == pytest.approx(slow_ten_shot(features))
    unit = (features / features.norm(dim=1, keepdim=True)).numpy()
    clusters = [clusters_of(unit, 3, seed) for seed in range(10)]
    values = [normalized_mutual_info_score(LABELS, each) for each in clusters]
    assert found["nmi"] == pytest.approx(np.mean(values))


def test_separate_classes_have_full_scores_and_noise_has_chance() -> None:
    assert label_scores(blobs(0.01), LABELS) == pytest.approx(
        dict.fromkeys(("knn", "ten_shot", "linear", "nmi"), 1.0)
    )
    noise = label_scores(torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), LABELS)
    assert noise["linear"] == pytest.approx(1 / 3, abs=0.15)
    assert noise["nmi"] < 0.2


def test_small_classes_have_no_scores_but_are_clustered() -> None:
    labels = np.concatenate([LABELS, np.full(14, 7)])
    rows = scored_rows(labels)
    assert rows.tolist() == list(range(60))
    features = torch.cat([blobs(0.5), blobs(0.5, seed=1)[:14]])
    unit = (features / features.norm(dim=1, keepdim=True)).numpy()
    values = [
        adjusted_mutual_info_score(LABELS, clusters_of(unit, 6, seed)[:60]) for seed in range(5)
    ]
    assert ami_of_kmeans(features, labels, rows, 6) == pytest.approx(np.mean(values))
    with pytest.raises(ValueError, match="expected at least two classes of 15"):
        scored_rows(np.repeat([0, 1], [40, 14]))


def test_draws_have_ten_of_each_class() -> None:
    found = [rows.tolist() for rows in draws(np.repeat([0, 1], [15, 30]))]
    assert len(found) == 20
    assert found[0] != found[1]
    for rows in found:
        assert sum(row < 15 for row in rows) == 10
        assert len(set(rows)) == 20
