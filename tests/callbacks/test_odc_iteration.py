"""The callbacks in a real Trainer against a slow, obvious reference, step by step."""

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from helpers import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    CentroidRefresh,
    KMeansBootstrap,
    LossReweighting,
    SamplesMemory,
    SmallClusters,
)
from reference import SlowODC

N, C, STEPS, B = 60, 6, 300, 16
PAPER = {"threshold": 4, "refresh_every": 10}


class Replay(pl.Callback):
    """Runs the reference beside the callbacks and compares after every batch."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.slow: SlowODC
        self.splits = 0
        self.steps = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        memory = SamplesMemory.of(trainer).memory
        self.slow = SlowODC(
            memory.features.numpy().copy(), memory.labels.numpy(), C, **self.options
        )
        np.testing.assert_allclose(memory.centroids, self.slow.centroids, atol=1e-6)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        indices = batch["index"].numpy()
        np.testing.assert_array_equal(batch["target"], self.slow.labels[indices])
        np.testing.assert_allclose(batch["weight"], self.slow.weights(indices), rtol=1e-5)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        owner = SamplesMemory.of(trainer)
        ratio = self.slow.write_batch(batch["index"].numpy(), outputs["features"].numpy())
        assert float(owner.switch_ratio) == pytest.approx(ratio)
        accumulate = trainer.accumulate_grad_batches
        if (batch_idx + 1) % accumulate == 0 or batch_idx + 1 == trainer.num_training_batches:
            self.slow.end_step(trainer.global_step)
            self.splits += self.slow.num_splits
        memory = owner.memory
        np.testing.assert_array_equal(memory.labels, self.slow.labels)
        np.testing.assert_allclose(memory.features, self.slow.features, atol=1e-5)
        np.testing.assert_allclose(memory.centroids, self.slow.centroids, atol=1e-5)
        self.steps += 1


def batches(num_batches: int, duplicates: bool, last: int = B) -> list[list[int]]:
    rng = np.random.default_rng(0)
    drawn = [rng.choice(N, B, replace=duplicates).tolist() for _ in range(num_batches)]
    drawn[-1] = drawn[-1][:last]
    return drawn


def run(
    memory: dict[str, Any] | None = None,
    refresh: dict[str, Any] | None = None,
    small: dict[str, Any] | None = None,
    reference: dict[str, Any] | None = None,
    duplicates: bool = False,
    last: int = B,
    **trainer: Any,
) -> Replay:
    replay = Replay(**{**PAPER, **(reference or {})})
    callbacks = [
        SamplesMemory(**(memory or {})),
        KMeansBootstrap(backend="torch"),
        LossReweighting(),
        CentroidRefresh(**(refresh or {})),
        SmallClusters(**{"threshold": 4, **(small or {})}),
        replay,
    ]
    torch.manual_seed(0)
    data = TinyData(N, batches(STEPS // 3, duplicates, last))
    tiny_trainer(callbacks, max_epochs=3, **trainer).fit(tiny_module(C), data)
    assert replay.steps == STEPS
    return replay


def test_the_papers_choices() -> None:
    assert run().splits > 0


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_momentum(momentum: float) -> None:
    run(memory={"momentum": momentum}, reference={"momentum": momentum})


def test_renormalized_features() -> None:
    run(memory={"renormalize": True}, reference={"renormalize": True})


def test_assignment_by_dot_product() -> None:
    run(memory={"assignment": "dot"}, reference={"assignment": "dot"})


@pytest.mark.parametrize("k", [1, 7])
def test_refresh_interval(k: int) -> None:
    run(refresh={"every_n_steps": k}, reference={"refresh_every": k})


def test_refresh_of_all_centroids() -> None:
    run(refresh={"clusters": "all"}, reference={"refresh": "all"})


def test_one_round_of_splits() -> None:
    assert run(small={"repeat": False}, reference={"repeat": False}).splits > 0


def test_the_first_half_moves() -> None:
    assert run(small={"moved_half": "first"}, reference={"moved_half": "first"}).splits > 0


def test_a_threshold_that_leaves_little_room() -> None:
    assert run(small={"threshold": 8}, reference={"threshold": 8}).splits > 0


def test_another_seed_splits_otherwise() -> None:
    one, other = run(), run(small={"seed": 1}, reference={"seed": 1})
    assert not np.array_equal(one.slow.labels, other.slow.labels)


def test_the_authors_code() -> None:
    run(
        memory={"assignment": "dot", "renormalize": True},
        refresh={"clusters": "all"},
        small={"repeat": False, "moved_half": "first", "threshold": 3},
        reference={
            "assignment": "dot",
            "renormalize": True,
            "refresh": "all",
            "repeat": False,
            "moved_half": "first",
            "threshold": 3,
        },
    )


def test_duplicates_within_a_batch() -> None:
    run(duplicates=True)


def test_a_last_partial_batch() -> None:
    run(last=3)


def test_gradient_accumulation() -> None:
    run(accumulate_grad_batches=3)
