"""Probes against scikit-learn, and one beside the other as if each were alone."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import TensorDataset

from helpers.tiny import tiny_trainer
from odc_lightning.evaluation.linear_probes import Batches, FeatureRows, Labelled, LinearProbes
from odc_lightning.models import ConvNet
from odc_lightning.models.frozen_features import FrozenFeatures

SGD = partial(torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
STEPS = partial(MultiStepLR, milestones=[30, 60, 90], gamma=0.1)


def digits() -> tuple[np.ndarray, ...]:
    pixels, labels = load_digits(return_X_y=True)
    return train_test_split(
        pixels.astype(np.float32), labels, test_size=0.2, stratify=labels, random_state=0
    )


def fit(probes: LinearProbes, batches: Batches, epochs: int) -> dict[str, float]:
    trainer = tiny_trainer([], max_epochs=epochs, limit_val_batches=0)
    trainer.fit(probes, batches)
    (found,) = tiny_trainer([]).validate(probes, batches, verbose=False)
    return dict(found)


def test_raw_digits_reach_logistic_regression() -> None:
    train, test, train_labels, test_labels = digits()
    scaler = StandardScaler().fit(train)
    logistic = LogisticRegression(max_iter=5000).fit(scaler.transform(train), train_labels)
    reached = logistic.score(scaler.transform(test), test_labels)
    batches = Batches(
        FeatureRows({"raw": train}, train_labels), FeatureRows({"raw": test}, test_labels), 256
    )
    # 500 steps, where ImageNet has half a million: ten times the paper's learning rate
    faster = partial(SGD, lr=0.1)
    found = fit(LinearProbes({"raw": (64, 1)}, 10, faster, STEPS), batches, 100)
    assert reached > 0.95
    assert found["linear/raw/top1"] >= reached - 0.01
    assert found["linear/raw/top5"] > found["linear/raw/top1"]


def test_probes_do_not_feel_each_other() -> None:
    train, test, train_labels, test_labels = digits()
    halves = {"left": slice(0, 32), "right": slice(32, 64)}

    def rows(names: list[str]) -> Batches:
        first = FeatureRows({name: train[:, halves[name]] for name in names}, train_labels)
        second = FeatureRows({name: test[:, halves[name]] for name in names}, test_labels)
        return Batches(first, second, 256)

    together = LinearProbes({"left": (32, 1), "right": (32, 1)}, 10, SGD, STEPS)
    both = fit(together, rows(["left", "right"]), 3)
    for name in halves:
        alone = LinearProbes({name: (32, 1)}, 10, SGD, STEPS)
        assert fit(alone, rows([name]), 3).items() <= both.items()
        for key, value in alone.probes[name].state_dict().items():
            assert torch.equal(value, together.probes[name].state_dict()[key])


def test_fresh_views_through_a_frozen_network() -> None:
    torch.manual_seed(0)
    images = torch.randn(40, 3, 16, 16)
    labels = np.arange(40) % 2
    images[labels == 1] += 0.5

    class Views(TensorDataset):
        def __getitem__(self, key: Any) -> Any:
            index = key[1] if isinstance(key, tuple) else key
            return {"image": self.tensors[0][index], "index": index}

    backbone = ConvNet(4)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    encoder = FrozenFeatures(backbone, ["conv1", "pooled"])
    probes = LinearProbes(encoder.shapes(images[0]), 2, SGD, STEPS, encoder)
    batches = Batches(Labelled(Views(images), labels), Labelled(Views(images), labels), 16)
    found = fit(probes, batches, 10)
    assert found["linear/conv1/top1"] > 0.9
    assert "linear/conv1/top5" not in found  # of two classes
    after = backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_batches_cover_training_once_and_test_all() -> None:
    rows = FeatureRows({"raw": np.arange(10, dtype=np.float32)[:, None]}, np.arange(10))
    batches = Batches(rows, rows, 4)
    seen = [batch["target"].tolist() for batch in batches.train_dataloader()]
    assert [len(batch) for batch in seen] == [4, 4]  # the incomplete batch is left out
    assert len({label for batch in seen for label in batch}) == 8
    for batch in batches.train_dataloader():
        assert batch["features"]["raw"].flatten().tolist() == batch["target"].tolist()
    tested = [label for batch in batches.val_dataloader() for label in batch["target"].tolist()]
    assert tested == list(range(10))


def test_order_follows_the_seed_and_the_epoch() -> None:
    rows = FeatureRows({"raw": np.zeros((64, 1), np.float32)}, np.arange(64))

    def order(seed: int, epoch: int) -> list[int]:
        loader = Batches(rows, rows, 16, seed=seed).train_dataloader()
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        return [label for batch in loader for label in batch["target"].tolist()]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


@pytest.mark.parametrize("interrupted", [2])
def test_an_interrupted_training_is_continued(tmp_path: Any, interrupted: int) -> None:
    train, test, train_labels, test_labels = digits()
    batches = Batches(
        FeatureRows({"raw": train}, train_labels), FeatureRows({"raw": test}, test_labels), 256
    )
    straight = LinearProbes({"raw": (64, 1)}, 10, SGD, STEPS)
    fit(straight, batches, 4)
    first = LinearProbes({"raw": (64, 1)}, 10, SGD, STEPS)
    trainer = tiny_trainer([], max_epochs=interrupted, limit_val_batches=0)
    trainer.fit(first, batches)
    trainer.save_checkpoint(tmp_path / "linear.ckpt")
    second = LinearProbes({"raw": (64, 1)}, 10, SGD, STEPS)

    tiny_trainer([], max_epochs=4, limit_val_batches=0).fit(
        second, batches, ckpt_path=tmp_path / "linear.ckpt"
    )
    for key, value in straight.probes["raw"].state_dict().items():
        assert torch.equal(value, second.probes["raw"].state_dict()[key])
    other = LinearProbes({"raw": (64, 1)}, 10, SGD, STEPS, network="another")
    with pytest.raises(ValueError, match="probes on raw of another network"):
        tiny_trainer([], max_epochs=4).fit(other, batches, ckpt_path=tmp_path / "linear.ckpt")
