"""Scores on digits of which only some have a label."""

from typing import Any, Literal

import numpy as np
import pytest
import torch

from conftest import Compose
from odc_lightning.callbacks.monitors import label_scores
from odc_lightning.data import ImageSource, digits
from odc_lightning.train import train

SHORT = ("experiment=odc_digits", "trainer.max_epochs=1", "trainer.limit_train_batches=2")


def run_with_labels(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch, known: int, *overrides: str
) -> Any:
    """Train on digits of which the first ``known`` have their labels, and the others none."""

    def partly(split: Literal["train", "val"]) -> ImageSource:
        source = digits(split)
        assert source.labels is not None
        source.labels = np.where(np.arange(len(source)) < known, source.labels, -1)
        return source

    monkeypatch.setattr("odc_lightning.data.digits", partly)
    return train(compose_config(*SHORT, *overrides))


def test_fewer_labels_than_neighbours(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = run_with_labels(compose_config, monkeypatch, 10)
    assert 0 <= summary["knn_top1"] <= 1
    assert 0 <= summary["nmi"] <= 1


def test_without_a_validation_split_each_image_is_left_out(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = run_with_labels(compose_config, monkeypatch, 1437, "data.val=null")
    # An image that found itself among its neighbours would be right more often still.
    assert 0.9 < summary["untrained"]["knn_top1"] < 0.99


@pytest.mark.parametrize("known", [0, 1])
def test_too_few_labels_for_a_score(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    assert run_with_labels(compose_config, monkeypatch, known)["knn_top1"] is None


def test_features_are_copied_only_where_a_label_is_missing() -> None:
    features, labels = torch.randn(4, 3), torch.tensor([1, 0, 2, 0])
    assert label_scores._labelled(features, labels)[0] is features
    rest, known = label_scores._labelled(features, torch.tensor([1, -1, 2, -1]))
    assert torch.equal(rest, features[[0, 2]])
    assert known.tolist() == [1, 2]
