"""The callbacks in a real Trainer against a slow, obvious reference, step by step."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from helpers.slow_odc import SlowNames, SlowODC
from helpers.tiny import TinyViews, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    BalancedClusters,
    CentroidRefresh,
    CurrentTargets,
    KMeansBootstrap,
    LossReweighting,
    NamedClusters,
    SamplesMemory,
    SmallClusters,
    in_order,
)
from odc_lightning.models import PrototypeHead
from odc_lightning.module import ODCModule
from odc_lightning.runs.given_labels import GivenLabels

N, C, STEPS, B = 60, 6, 150, 16
PAPER = {"threshold": 4, "refresh_every": 10}


class Replay(pl.Callback):
    """Runs the reference beside the callbacks and compares after every batch."""

    def __init__(self, swapped: bool = False, **options: Any) -> None:
        self.options = options
        self.swapped = swapped
        self.targets: torch.Tensor | None = None
        self.slow: SlowODC
        self.splits = 0
        self.steps = 0
        self.feature_type: torch.dtype | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        memory = SamplesMemory.of(trainer).memory
        self.slow = SlowODC(
            memory.features.numpy().copy(), memory.labels.numpy(), C, **self.options
        )
        np.testing.assert_allclose(memory.centroids, self.slow.centroids, atol=1e-6)
        np.testing.assert_allclose(memory.offsets, self.slow.offsets, atol=1e-5)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        indices = batch["index"].numpy()
        num_views = trainer.datamodule.num_views  # type: ignore[attr-defined]
        if self.swapped:
            find = batch["target"]
            batch["target"] = lambda features: self._keep(find(features))
        else:
            labels = self.slow.labels[self.slow_rows(indices, num_views)]
            np.testing.assert_array_equal(batch["target"], labels)
            weights = self.slow.weights(self.slow_rows(indices, num_views))
            np.testing.assert_allclose(batch["weight"], weights, rtol=1e-5)

    @staticmethod
    def slow_rows(indices: np.ndarray, num_views: int) -> np.ndarray:
        """The sample of each row of features."""
        return np.array([n for n in indices for _ in range(num_views)])

    def _keep(self, targets: torch.Tensor) -> torch.Tensor:
        self.targets = targets
        return targets

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        owner = SamplesMemory.of(trainer)
        self.feature_type = outputs["features"].dtype
        outputs = {"features": outputs["features"].float()}
        if self.swapped:
            assert self.targets is not None
            expected = self.slow.soft_targets(
                batch["index"].numpy(), outputs["features"].numpy(), temperature=0.2
            )
            np.testing.assert_allclose(self.targets, expected, atol=1e-4)
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
        np.testing.assert_allclose(memory.offsets, self.slow.offsets, atol=1e-4)
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
    more: Sequence[pl.Callback] = (),
    swapped: bool = False,
    duplicates: bool = False,
    last: int = B,
    num_views: int = 1,
    module: ODCModule | None = None,
    **trainer: Any,
) -> Replay:
    replay = Replay(swapped, **{**PAPER, **(reference or {})})
    callbacks = [
        SamplesMemory(**(memory or {})),
        KMeansBootstrap(backend="torch"),
        LossReweighting(),
        CentroidRefresh(**(refresh or {})),
        SmallClusters(**{"threshold": 4, **(small or {})}),
        *more,
    ]
    torch.manual_seed(0)
    data = TinyViews(N, batches(STEPS // 3, duplicates, last), num_views)
    tiny_trainer([*in_order(callbacks), replay], max_epochs=3, **trainer).fit(
        tiny_module(C) if module is None else module, data
    )
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


def test_assignment_by_the_cosine() -> None:
    run(memory={"assignment": "cosine"}, reference={"assignment": "cosine"})


@pytest.mark.parametrize("num_views", [2, 3])
def test_the_memory_takes_the_mean_of_the_views(num_views: int) -> None:
    run(num_views=num_views)


@pytest.mark.parametrize("assignment", ["l2", "cosine"])
def test_balanced_clusters(assignment: str) -> None:
    settings = {"temperature": 0.1, "iterations": 3, "max_samples": 25}
    found = run(
        memory={"assignment": assignment},
        more=[BalancedClusters(every_n_steps=7, **settings)],  # type: ignore[arg-type]
        reference={"assignment": assignment, "balance": {"every": 7, **settings}},
    )
    assert np.abs(found.slow.offsets).max() > 0.01


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "16-true"])
def test_the_memory_counts_in_fp32_whatever_the_network_does(precision: str) -> None:
    """The reference gets the same rounded features, and counts in fp64."""
    found = run(precision=precision)
    assert found.splits > 0
    assert found.feature_type == (torch.float16 if precision == "16-true" else torch.bfloat16)


@pytest.mark.parametrize("num_views", [1, 2, 3])
def test_current_targets(num_views: int) -> None:
    """The whole recipe for small data sets: views, soft targets of now, the centroids as head."""
    recipe(tiny_module(C, head=partial(PrototypeHead, num_heads=1)), num_views)


def recipe(
    module: ODCModule,
    num_views: int,
    more: Sequence[pl.Callback] = (),
    said: SlowNames | None = None,
) -> Replay:
    balance = {"temperature": 0.1, "iterations": 2, "max_samples": N}
    return run(
        memory={"assignment": "cosine", "renormalize": True},
        more=[
            *more,
            CurrentTargets(temperature=0.2),
            BalancedClusters(every_n_steps=10, **balance),  # type: ignore[arg-type]
        ],
        swapped=True,
        reference={
            "assignment": "cosine",
            "renormalize": True,
            "balance": {"every": 10, **balance},
            "said": said,
        },
        num_views=num_views,
        module=module,
    )


SAID = SlowNames(
    names=[[0, 1, -1, -1, -1, -1][n % 6] if n < 30 else -1 for n in range(N)],
    refused=[1 if n in (32, 44) else 0 if n in (3, 45) else -1 for n in range(N)],
    groups=[{2: 0, 40: 0, 44: 0, 41: 1, 42: 1}.get(n, -1) for n in range(N)],
    # With a name, with groups, with each other, and a triangle.
    apart=[(0, 3), (2, 41), (6, 42), (46, 47), (47, 48), (46, 48), (49, 40)],
)


class Said(NamedClusters):
    """With what is said in place of a file."""

    def _read(self, trainer: pl.Trainer) -> None:
        self.given = GivenLabels(
            names=["cat", "dog"],
            labels=np.array(SAID.names),
            refused=np.array(SAID.refused),
            groups=np.array(SAID.groups),
            apart=np.array(SAID.apart),
            unknown=[],
        )


@pytest.mark.parametrize("assignment", ["l2", "cosine"])
def test_names(assignment: str) -> None:
    found = run(
        memory={"assignment": assignment},
        more=[Said("labels.json")],
        reference={"assignment": assignment, "said": SAID},
        duplicates=True,
    )
    assert found.splits > 0
    check_names(found.slow.labels)


def test_names_with_current_targets_and_balanced_clusters() -> None:
    module = tiny_module(C, head=partial(PrototypeHead, num_heads=1))
    check_names(recipe(module, 2, [Said("labels.json")], SAID).slow.labels)


def test_names_and_a_threshold_that_leaves_little_room() -> None:
    found = run(
        small={"threshold": 8}, more=[Said("labels.json")], reference={"threshold": 8, "said": SAID}
    )
    check_names(found.slow.labels)
    assert np.bincount(found.slow.labels, minlength=C)[2:].min() == 9  # topped up


def check_names(labels: np.ndarray) -> None:
    for sample, name in enumerate(SAID.names):
        if name >= 0:
            assert labels[sample] == name
        assert labels[sample] not in SAID.forbidden(sample)
        assert {int(labels[n]) for n in SAID.unit(sample)} == {int(labels[sample])}
    assert all(labels[one] != labels[other] for one, other in SAID.apart)


def compiled(module: ODCModule) -> ODCModule:
    """By torch.compile, without a C++ compiler; Lightning takes the result for the module."""
    return torch.compile(module, backend="aot_eager")  # type: ignore[return-value]


def test_a_compiled_network() -> None:
    assert run(module=compiled(tiny_module(C))).splits > 0


def test_a_compiled_network_with_current_targets() -> None:
    head = partial(PrototypeHead, num_heads=1, contrast=0.5, num_views=2)
    recipe(compiled(tiny_module(C, head=head)), num_views=2)
