"""The rules, at and around their thresholds."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from odc_lightning.callbacks.monitors.health_rules import (
    dominant_cluster,
    empty_clusters,
    features_collapsed,
    loss_at_chance,
    mean_cosine,
    switching_not_falling,
    task_at_chance,
)


class TestMeanCosine:
    def test_against_all_pairs(self) -> None:
        features = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
        pairs = [
            float(cosine_similarity(features[i], features[j], dim=0))
            for i in range(7)
            for j in range(7)
            if i != j
        ]
        assert float(mean_cosine(features)) == pytest.approx(sum(pairs) / 42, abs=1e-6)

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([[1, 0], [5, 0]], 1),
            ([[1, 0], [0, 2]], 0),
            ([[1, 0], [-1, 0]], -1),
            ([[0, 0], [0, 0], [0, 0]], 1),  # dead features are alike
            ([[0, 0], [0, 0], [3, 0]], 1 / 3),  # one pair of three
        ],
    )
    def test_by_hand(self, rows: list[list[float]], expected: float) -> None:
        assert float(mean_cosine(torch.tensor(rows).float())) == pytest.approx(expected, abs=1e-6)

    def test_half_precision(self) -> None:
        cosine = mean_cosine(torch.full((512, 256), 0.5, dtype=torch.float16))
        assert cosine.dtype == torch.float32
        assert float(cosine) == pytest.approx(1, abs=1e-5)

    def test_a_single_sample_has_no_pairs(self) -> None:
        with pytest.raises(ValueError, match=r"\(1, 4\)"):
            mean_cosine(torch.ones(1, 4))


class TestLossAtChance:
    CHANCE = math.log(100)

    @pytest.mark.parametrize(
        ("share", "warns"), [(0.97, False), (0.979, False), (0.981, True), (1, True), (1.2, True)]
    )
    def test_two_percent_below_chance_is_learning(self, share: float, warns: bool) -> None:
        assert (loss_at_chance(share * self.CHANCE, 100, 3, 100) is not None) == warns

    @pytest.mark.parametrize(("epochs", "steps"), [(2, 5000), (50, 99)])
    def test_a_run_that_has_hardly_begun(self, epochs: int, steps: int) -> None:
        assert loss_at_chance(self.CHANCE, 100, epochs, steps) is None

    def test_says_what_was_seen(self) -> None:
        warning = loss_at_chance(9.2, 10_000, 4, 400)
        assert warning is not None
        assert "After 4 epochs the loss is 9.20" in warning
        assert "ln C = 9.21 for 10,000 clusters" in warning


class TestTaskAtChance:
    @pytest.mark.parametrize(("loss", "warns"), [(1.9, False), (1.97, True), (2.5, True)])
    def test_two_percent_below_chance_is_learning(self, loss: float, warns: bool) -> None:
        assert (task_at_chance(loss, 2.0, 3, 100) is not None) == warns
        assert task_at_chance(loss, 2.0, 2, 100) is None
        assert task_at_chance(loss, 2.0, 3, 99) is None

    def test_says_what_was_seen(self) -> None:
        warning = task_at_chance(3.1, 3.09, 4, 400)
        assert warning is not None
        assert "After 4 epochs the loss is 3.10, no better than chance (3.09)" in warning


class TestDominantCluster:
    @pytest.mark.parametrize(
        ("num_clusters", "num_samples", "allowed"),
        # The largest size that is still fine is N / sqrt(C).
        [(2, 1000, 707), (4, 1000, 500), (100, 1000, 100), (10_000, 1_281_167, 12_811)],
    )
    def test_threshold(self, num_clusters: int, num_samples: int, allowed: int) -> None:
        assert dominant_cluster(allowed, num_samples, num_clusters) is None
        assert dominant_cluster(allowed + 1, num_samples, num_clusters) is not None

    def test_says_what_was_seen(self) -> None:
        assert "holds 40.0% of the samples" in str(dominant_cluster(400, 1000, 50))
        assert "would hold 2.00% each" in str(dominant_cluster(400, 1000, 50))


class TestSwitching:
    @pytest.mark.parametrize(
        ("first", "last", "warns"),
        [(1.0, 0.9, True), (1.0, 0.89, False), (0.55, 0.5, False), (0.55, 0.51, True)],
    )
    def test_threshold(self, first: float, last: float, warns: bool) -> None:
        assert (switching_not_falling(first, last, 10, 100) is not None) == warns

    @pytest.mark.parametrize(("epochs", "steps"), [(9, 5000), (50, 99)])
    def test_a_run_that_has_hardly_begun(self, epochs: int, steps: int) -> None:
        assert switching_not_falling(1.0, 1.0, epochs, steps) is None

    def test_says_what_was_seen(self) -> None:
        warning = switching_not_falling(0.98, 0.95, 12, 700)
        assert "After 12 epochs 95% of the labels" in str(warning)
        assert "98% in the first epoch" in str(warning)


def test_features_collapsed() -> None:
    assert features_collapsed(0.99) is None
    assert features_collapsed(-1.0) is None
    assert "0.991" in str(features_collapsed(0.991))


def test_empty_clusters() -> None:
    assert empty_clusters(0, 10) is None
    assert "1 of 2,000 clusters" in str(empty_clusters(1, 2000))


@pytest.mark.parametrize(
    "warning",
    [
        loss_at_chance(math.nan, 10, 9, 900),
        switching_not_falling(math.nan, math.nan, 19, 900),
        features_collapsed(math.nan),
    ],
)
def test_nan_is_no_evidence(warning: str | None) -> None:
    assert warning is None
