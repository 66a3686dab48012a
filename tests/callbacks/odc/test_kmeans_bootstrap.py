from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import normalize

from helpers.tiny import TinyData, TinyViews, tiny_module, tiny_trainer
from odc_lightning.callbacks import KMeansBootstrap, SamplesMemory
from odc_lightning.features.extraction import evaluating
from odc_lightning.models import CenteringNeck, LinearHead

N, C = 60, 6


class Look(pl.Callback):
    """Keeps what the memory holds before the first step."""

    def __init__(self) -> None:
        self.state: dict[str, torch.Tensor] = {}
        self.expected: torch.Tensor
        self.training: list[bool] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        memory = SamplesMemory.of(trainer).memory
        self.state = {name: tensor.clone() for name, tensor in memory.state_dict().items()}
        self.training = [part.training for part in pl_module.modules()]
        images = trainer.datamodule.images.images  # type: ignore[attr-defined]
        with evaluating(pl_module):
            self.expected = normalize(pl_module.embed(images), dim=1)


def bootstrap(data: TinyData, **settings: Any) -> Look:
    look = Look()
    callbacks = [SamplesMemory(), KMeansBootstrap(**settings), look]
    tiny_trainer(callbacks, limit_train_batches=1).fit(tiny_module(C), data)
    return look


@pytest.mark.parametrize("backend", ["faiss", "torch"])
def test_the_memory_holds_every_images_feature_and_its_clusters_mean(backend: str) -> None:
    look = bootstrap(TinyData(N, 16), backend=backend)
    torch.testing.assert_close(look.state["features"], look.expected)
    labels = look.state["labels"]
    assert labels.bincount(minlength=C).min() > 0
    for c in range(C):
        mean = look.expected[labels == c].mean(dim=0)
        torch.testing.assert_close(look.state["centroids"][c], mean)
    assert all(look.training)  # back in train mode


def test_empty_clusters_are_repaired_not_asserted() -> None:
    data = TinyData(N, 16)
    data.images.images[:] = data.images.images[0]  # all images are one and the same
    for backend in ("faiss", "torch"):
        assert bootstrap(data, backend=backend).state["counts"].min() > 0


def test_features_that_are_not_finite_are_named() -> None:
    data = TinyData(N, 16)
    data.images.images[17] = torch.nan
    with pytest.raises(ValueError, match="the first at index 17"):
        bootstrap(data)


def test_a_restored_memory_is_not_clustered_again() -> None:
    owner = SamplesMemory()
    state = bootstrap(TinyData(N, 16)).state
    state["labels"] = state["labels"].roll(1)

    class Restore(pl.Callback):
        def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            owner.load_state_dict(state)

    look = Look()
    callbacks = [owner, KMeansBootstrap(), look, Restore()]
    tiny_trainer(callbacks, limit_train_batches=1).fit(tiny_module(C), TinyData(N, 16))
    assert torch.equal(look.state["labels"], state["labels"])


def test_training_views_are_what_the_first_epoch_will_see() -> None:
    """Dropout and batch statistics are those of training; the network itself is not changed."""
    data = TinyViews(N, [list(range(0, 16)), list(range(16, 32))], num_views=2)
    module = tiny_module(C, dropout=0.0)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    after: dict[str, torch.Tensor] = {}

    class Keep(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            after.update({k: v.clone() for k, v in pl_module.state_dict().items()})

    look = Look()
    callbacks = [SamplesMemory(), KMeansBootstrap(training_views=True), Keep(), look]
    tiny_trainer(callbacks, limit_train_batches=1).fit(module, data)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    module.load_state_dict(before)
    module.train()
    for batch in data.train_dataloader():
        unit = normalize(module.embed(batch["image"]), dim=1)
        mean = normalize(unit[0::2] + unit[1::2], dim=1)
        torch.testing.assert_close(look.state["features"][batch["index"]], mean.detach())
    left_out = slice(32, N)  # in no batch of that epoch: as ever
    torch.testing.assert_close(look.state["features"][left_out], look.expected[left_out])


@pytest.mark.parametrize("training_views", [False, True])
def test_a_centering_neck_gets_the_mean_of_the_backbones_features(training_views: bool) -> None:
    look, data, module = Look(), TinyViews(N, 16, num_views=2), tiny_module(C)
    module.neck, module.dim = CenteringNeck(module.backbone.num_features), 12
    module.head = LinearHead(12, C)
    with torch.no_grad():
        features = module.backbone(data.images.images)
        views = data.views.images[:, None] + data.views.shifts
        views = module.backbone(views.flatten(0, 1)).view(N, 2, 12)
    callbacks = [SamplesMemory(), KMeansBootstrap(training_views=training_views), look]
    tiny_trainer(callbacks, limit_train_batches=1).fit(module, data)
    torch.testing.assert_close(module.neck.mean, features.mean(dim=0))
    looks = torch.cat([features[:, None], views], dim=1) if training_views else features[:, None]
    expected = normalize(normalize(looks - features.mean(dim=0), dim=2).mean(dim=1), dim=1)
    torch.testing.assert_close(look.state["features"], expected)
