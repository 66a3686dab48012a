"""DeepCluster-v2's callback in a real Trainer against loops, step by step."""

import copy
import logging
import math
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset

from helpers.tiny import TinyBackbone, TinyData, TinyImages, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    ClusterSizeMonitor,
    HealthMonitor,
    LabelSwitchMonitor,
    PrototypeClustering,
    PseudoLabels,
)
from odc_lightning.features.extraction import evaluating
from odc_lightning.models import ProjectionNeck, PrototypeHead
from odc_lightning.module import ODCModule

N, C, H, V, D, B = 60, 6, 3, 2, 8, 16
ITERATIONS, SEED, TEMPERATURE = 4, 5, 0.1
FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Views(Dataset[dict[str, Any]]):
    """An image and its negative, brightened."""

    def __init__(self, images: TinyImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = self.images[index]["image"]
        return {"image": torch.stack([image, 0.2 - image]), "index": index}


class TwoViews(TinyData):
    """The last batch of an epoch has an image twice and leaves others out."""

    num_views = V

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        order = np.random.default_rng(1).permutation(N)[:50].tolist()
        batches = [order[:B], order[B : 2 * B], [*order[2 * B :], order[-1]]]
        views = Views(self.images)
        return DataLoader(views, batch_sampler=batches, generator=torch.Generator())


def dcv2_module(**head: Any) -> ODCModule:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ODCModule(
            TinyBackbone(),
            lambda in_features: ProjectionNeck(in_features, 32, D),
            lambda in_features, num_clusters: PrototypeHead(in_features, num_clusters, **head),
            C,
            lambda groups: torch.optim.SGD(groups, lr=0.5, momentum=0.9),
        )


def unit(row: FloatArray) -> FloatArray:
    return row / np.sqrt((row**2).sum())


class Slow(pl.Callback):
    """DeepCluster-v2 with a loop for every sum, beside the callback, compared after every hook."""

    def __init__(self) -> None:
        self.banks: list[list[FloatArray]] = []
        self.labels: list[list[int]] = []  # of each head
        self.prototypes: list[list[FloatArray]] = []
        self.epochs = self.steps = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        images = trainer.datamodule.images.images  # type: ignore[attr-defined]
        with evaluating(pl_module):
            rows = [unit(row) for row in pl_module.embed(images).double().numpy()]
        self.banks = [list(rows) for _ in range(V)]
        assert pl_module.training
        statistics = [buffer.clone() for buffer in pl_module.buffers()]
        network = copy.deepcopy(pl_module)  # its statistics move, and those of the run may not
        for batch in trainer.datamodule.train_dataloader():  # type: ignore[attr-defined]
            with torch.no_grad():
                features = iter(network.embed(batch["image"]).double().numpy())
            for i in batch["index"].tolist():
                for v in range(V):
                    self.banks[v][i] = unit(next(features))
        assert all(torch.equal(*pair) for pair in zip(statistics, pl_module.buffers(), strict=True))
        assert int(pl_module.neck.bn0.num_batches_tracked) == 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        rng = np.random.default_rng([SEED, trainer.current_epoch])
        self.labels, self.prototypes = [], []
        for head in range(H):
            bank = self.banks[head % V]
            prototypes = [bank[i] for i in rng.choice(N, C, replace=False)]
            for _ in range(ITERATIONS):
                labels = [self._nearest(row, prototypes) for row in bank]
                for c in range(C):
                    members = [row for row, label in zip(bank, labels, strict=True) if label == c]
                    if members:
                        prototypes[c] = unit(np.mean(members, axis=0))
            self.labels.append([self._nearest(row, prototypes) for row in bank])
            self.prototypes.append(prototypes)
        self.epochs += 1
        self._compare(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        expected = [
            [self.labels[h][i] for h in range(H)] for i in batch["index"].tolist() for _ in range(V)
        ]
        assert batch["target"].tolist() == expected

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        features = iter(outputs["features"].double().numpy())
        losses = []
        for i in batch["index"].tolist():
            for v in range(V):
                row = unit(next(features))
                for h in range(H):
                    scores = [math.exp(row @ p / TEMPERATURE) for p in self.prototypes[h]]
                    losses.append(-math.log(scores[self.labels[h][i]] / sum(scores)))
                self.banks[v][i] = row
        assert float(outputs["loss"]) == pytest.approx(sum(losses) / len(losses), rel=1e-4)
        self.steps += 1
        self._compare(trainer, pl_module)

    @staticmethod
    def _nearest(row: FloatArray, prototypes: list[FloatArray]) -> int:
        return int(np.argmax([row @ prototype for prototype in prototypes]))

    def _compare(self, trainer: pl.Trainer, pl_module: Any) -> None:
        owner = PseudoLabels.find(trainer)
        assert isinstance(owner, PrototypeClustering)
        np.testing.assert_allclose(owner.banks, np.array(self.banks), atol=1e-5)
        np.testing.assert_array_equal(owner.assignments, np.array(self.labels).T)
        np.testing.assert_allclose(pl_module.head.prototypes, np.array(self.prototypes), atol=1e-5)
        assert owner.labels.tolist() == self.labels[0]
        assert owner.counts.tolist() == [self.labels[0].count(c) for c in range(C)]
        distances = [
            np.sqrt(((self.banks[0][i] - self.prototypes[0][self.labels[0][i]]) ** 2).sum())
            for i in range(N)
        ]
        np.testing.assert_allclose(owner.distances(), distances, atol=1e-4)


def owner_of(**settings: Any) -> PrototypeClustering:
    return PrototypeClustering(**{"iterations": ITERATIONS, "seed": SEED, **settings})


def test_three_epochs_are_the_slow_reference() -> None:
    slow, module = Slow(), dcv2_module()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tiny_trainer([owner_of(), slow], max_epochs=3).fit(module, TwoViews(N, B))
    assert (slow.epochs, slow.steps) == (3, 9)
    assert not torch.equal(before["neck.fc1.weight"], module.state_dict()["neck.fc1.weight"])


def test_prototypes_get_no_gradient_and_are_in_no_optimiser() -> None:
    module = dcv2_module()
    tiny_trainer([owner_of()], max_epochs=2).fit(module, TwoViews(N, B))
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert len(optimizer.param_groups) == 1
    assert module.head.prototypes.grad is None
    assert not module.head.prototypes.requires_grad


def fitted(seed: int = SEED, epochs: int = 1) -> tuple[PrototypeClustering, dict[str, Tensor]]:
    owner, module = owner_of(seed=seed), dcv2_module()
    tiny_trainer([owner], max_epochs=epochs).fit(module, TwoViews(N, B))
    return owner, module.state_dict()


def test_the_seed_and_the_epoch_choose_the_first_centroids() -> None:
    one, again, other = fitted()[0], fitted()[0], fitted(seed=6)[0]
    assert torch.equal(one.assignments, again.assignments)
    assert not torch.equal(one.assignments, other.assignments)
    assert int(fitted(epochs=2)[0].epoch) == 1


def test_a_restored_clustering_is_neither_filled_nor_made_again() -> None:
    given, weights = fitted()
    state = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    state["assignments"] = state["assignments"].roll(1, dims=0)
    state["banks"] = state["banks"].roll(1, dims=1)
    owner, module = owner_of(), dcv2_module()
    module.load_state_dict(weights)

    class Restore(pl.Callback):
        def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            owner.load_state_dict(state)

        def on_train_batch_start(self, *_: Any) -> None:
            for name in ("assignments", "banks"):
                assert torch.equal(getattr(owner, name), state[name])
            assert torch.equal(module.state_dict()["head.prototypes"], weights["head.prototypes"])
            assert torch.equal(owner.counts, state["assignments"][:, 0].bincount(minlength=C))
            self.seen = True

    restore = Restore()
    tiny_trainer([owner, restore], limit_train_batches=1).fit(module, TwoViews(N, B))
    assert restore.seen


def test_half_precision_keeps_unit_vectors_in_fp32() -> None:
    owner, module = owner_of(), dcv2_module()
    tiny_trainer([owner], precision="bf16-mixed").fit(module, TwoViews(N, B))
    assert owner.banks.dtype == torch.float32
    torch.testing.assert_close(owner.banks.norm(dim=2), torch.ones(V, N))
    torch.testing.assert_close(owner.banks, normalize(owner.banks, dim=2))


class OneSampleShort(TwoViews):
    def __init__(self) -> None:
        super().__init__(C - 1, 2)


def test_input_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match=r"iterations must be at least 1, got 0"):
        PrototypeClustering(iterations=0)
    with pytest.raises(ValueError, match=r"LinearHead.*head@model\.head=prototypes"):
        tiny_trainer([owner_of()]).fit(tiny_module(C), TwoViews(N, B))
    with pytest.raises(ValueError, match="num_views=None"):
        tiny_trainer([owner_of()]).fit(dcv2_module(), TinyData(N, B))
    with pytest.raises(ValueError, match=r"algorithm\.num_clusters=6 with 5 images"):
        tiny_trainer([owner_of()]).fit(dcv2_module(), OneSampleShort())


def test_a_checkpoint_of_another_run_is_refused() -> None:
    owner, _ = fitted()
    state = {name: tensor.clone() for name, tensor in owner.state_dict().items()}
    state["assignments"] = state["assignments"][:, :2]
    with pytest.raises(ValueError, match=r"'assignments' is \(60, 2\), expected \(60, 3\)"):
        owner.load_state_dict(state)


def test_an_empty_cluster_is_no_alarm_for_the_next_epoch_starts_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Emptied(PrototypeClustering):
        @property
        def counts(self) -> Tensor:
            return torch.tensor([0, *[N // (C - 1)] * (C - 1)])

    with caplog.at_level(logging.WARNING, logger="odc_lightning"):
        callbacks = [Emptied(), LabelSwitchMonitor(), ClusterSizeMonitor(), HealthMonitor()]
        tiny_trainer(callbacks, max_epochs=2).fit(dcv2_module(), TwoViews(N, B))
    assert not caplog.records


def test_distances_when_lightning_has_taken_the_module_away() -> None:
    """After training the module is on the CPU and the banks where they were; here the other way."""
    owner = PrototypeClustering()
    tiny_trainer([owner]).fit(dcv2_module(), TwoViews(N, B))
    assert owner.distances().shape == (N,)
    owner.banks, owner.assignments = owner.banks.to("meta"), owner.assignments.to("meta")
    assert owner.distances().device.type == "meta"
