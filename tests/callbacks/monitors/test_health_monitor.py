"""The monitor in a real Trainer: what it sees, and that it speaks once."""

import logging
from functools import partial
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import CurrentTargets, SamplesMemory
from odc_lightning.callbacks.monitors import health_rules
from odc_lightning.callbacks.monitors.health_monitor import HealthMonitor
from odc_lightning.callbacks.odc.kmeans_bootstrap import KMeansBootstrap
from odc_lightning.models import PrototypeHead

N, C, B = 48, 4, 16


class Spoil(pl.Callback):
    """Puts all samples in cluster 0 at the end of each epoch, before the monitor looks."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        memory = SamplesMemory.of(trainer).memory
        memory.labels.zero_()
        memory.counts.copy_(torch.bincount(memory.labels, minlength=memory.num_clusters))


class Record(pl.Callback):
    """Means of an epoch, gathered the slow way."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.ratios: list[float] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.losses.append(float(outputs["loss"]) * trainer.accumulate_grad_batches)
        self.ratios.append(float(SamplesMemory.of(trainer).switch_ratio))


def fit(monitor: HealthMonitor, *others: pl.Callback, **settings: Any) -> pl.Trainer:
    callbacks = [SamplesMemory(), KMeansBootstrap(backend="torch"), *others, monitor]
    trainer = tiny_trainer(callbacks, **settings)
    trainer.fit(tiny_module(C), datamodule=TinyData(N, B))
    return trainer


def test_warns_of_each_kind_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="odc_lightning"):
        fit(HealthMonitor(), Spoil(), max_epochs=3)
    warnings = [record.getMessage() for record in caplog.records]
    assert sorted(warnings) == sorted(
        [str(health_rules.dominant_cluster(N, N, C)), str(health_rules.empty_clusters(C - 1, C))]
    )


def test_is_silent_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="odc_lightning"):
        fit(HealthMonitor(), max_epochs=2)
    assert not caplog.records


@pytest.mark.parametrize("accumulate", [1, 3])
def test_rules_get_the_means_of_the_epoch(monkeypatch: pytest.MonkeyPatch, accumulate: int) -> None:
    seen: list[tuple[float, int, int, int]] = []
    switching: list[tuple[float, float]] = []
    monkeypatch.setattr(health_rules, "loss_at_chance", lambda *given: seen.append(given))
    monkeypatch.setattr(
        health_rules,
        "switching_not_falling",
        lambda first, last, *_: switching.append((first, last)),
    )
    record = Record()
    fit(HealthMonitor(), record, max_epochs=2, accumulate_grad_batches=accumulate)
    losses = [sum(record.losses[:3]) / 3, sum(record.losses[3:]) / 3]
    steps = 3 // accumulate
    assert [given[0] for given in seen] == pytest.approx(losses)
    assert [given[1:] for given in seen] == [(C, 1, steps), (C, 2, 2 * steps)]
    ratios = [sum(record.ratios[:3]) / 3, sum(record.ratios[3:]) / 3]
    assert [last for _, last in switching] == pytest.approx(ratios)
    assert [first for first, _ in switching] == pytest.approx([ratios[0]] * 2)


def test_labels_that_move_are_no_concern_where_targets_are_those_of_now(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health_rules, "switching_not_falling", lambda *_: "they move")
    fit(HealthMonitor())
    assert "they move" in caplog.text
    caplog.clear()
    callbacks = [SamplesMemory(), KMeansBootstrap(backend="torch"), CurrentTargets()]
    module = tiny_module(C, head=partial(PrototypeHead, num_heads=1))
    tiny_trainer([*callbacks, HealthMonitor()]).fit(module, datamodule=TinyData(N, B))
    assert "they move" not in caplog.text


def test_collapse_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    class Collapse(pl.Callback):
        """Stands for a network whose features are all the same."""

        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
        ) -> None:
            outputs["features"] = torch.ones_like(outputs["features"])

    with caplog.at_level(logging.WARNING, logger="odc_lightning"):
        fit(HealthMonitor(), Collapse(), max_epochs=1)
    assert [record.getMessage() for record in caplog.records] == [
        health_rules.features_collapsed(1.0)
    ]


def test_a_restart_remembers(caplog: pytest.LogCaptureFixture) -> None:
    before, after = HealthMonitor(), HealthMonitor()
    fit(before, Spoil())
    state = before.state_dict()
    assert state["given"] == ["dominant", "empty"]
    assert state["epochs"] == [list(before.epochs[0])]
    assert 0 <= before.epochs[0].switch_ratio <= 1
    caplog.clear()
    after.load_state_dict(state)
    with caplog.at_level(logging.WARNING, logger="odc_lightning"):
        fit(after, Spoil())
    assert not caplog.records
    assert after.epochs[0] == before.epochs[0]
    assert len(after.epochs) == 2
