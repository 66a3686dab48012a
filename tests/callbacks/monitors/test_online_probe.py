"""The online probe against a loop that trains one from what was recorded, and that it disturbs
nothing."""

import csv
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn.functional import batch_norm, cross_entropy
from torch.utils.data import DataLoader

from conftest import Compose
from helpers.paths import TESTS
from helpers.processes import run_python
from helpers.tiny import TinyData, TinyImages, tiny_module, tiny_trainer
from odc_lightning.callbacks import KMeansBootstrap, OnlineProbe, SamplesMemory, find
from odc_lightning.config.build import build_module, build_trainer
from odc_lightning.data import ImageSource, digits
from odc_lightning.models.linear_probe import LinearProbe
from odc_lightning.module import ODCModule
from odc_lightning.train import train

N, M, C = 200, 60, 6
METRIC = "eval/online_probe_top1"
SETTINGS: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
Steps = list[tuple[Tensor, Tensor]]  # features (b, D) and labels (b,) of each


def by_plane(images: Tensor) -> Tensor:
    """Two classes that a linear function of the image tells apart."""
    return (images.flatten(1).sum(dim=1) > 0).long()


class LabelledImages(TinyImages):
    """Images with their classes where the datamodule has them."""

    def __init__(self, num_samples: int, seed: int = 0) -> None:
        super().__init__(num_samples, seed)
        self.source = SimpleNamespace(labels=by_plane(self.images).numpy())


class LabelledData(TinyData):
    """Training and validation images; every seventh of both has no label."""

    def __init__(self, batches: list[list[int]] | int = 16) -> None:
        super().__init__(N, batches)
        self.images = self.train_dataset = LabelledImages(N)
        self.val_dataset: LabelledImages | None = LabelledImages(M, seed=1)
        for images in (self.train_dataset, self.val_dataset):
            images.source.labels[::7] = -1

    def extraction_dataloader(self, split: str, rank: int = 0, world_size: int = 1) -> Any:
        if split == "train":
            return super().extraction_dataloader(split, rank, world_size)
        assert self.val_dataset is not None
        return DataLoader(self.val_dataset, 16, generator=torch.Generator())


class Recorder(pl.Callback):
    """Keeps every step's features and labels, and disturbs who does not know them from others.

    It stands before the probe, and gives the backbone other images when a batch starts and ends.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self.steps: Steps = []
        self.seen: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        backbone = ODCModule.of(pl_module).backbone
        backbone.register_forward_hook(lambda module, images, out: self.seen.append(out.detach()))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        pl_module.backbone(batch["image"] + 1)  # type: ignore[operator]
        self.seen.clear()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        labels = trainer.datamodule.train_dataset.source.labels  # type: ignore[attr-defined]
        (features,) = self.seen
        self.steps.append((features.clone(), torch.from_numpy(labels)[batch["index"]]))
        pl_module.backbone(batch["image"] + 1)  # type: ignore[operator]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.folder is not None:
            probe = find(trainer, OnlineProbe)
            assert probe is not None
            found = {"steps": self.steps, "probe": probe.state_dict(), "pid": os.getpid()}
            torch.save(found, f"{self.folder}/rank{trainer.global_rank}.pt")


def replay(ranks: list[Steps], num_classes: int, **settings: float) -> dict[str, Tensor]:
    """A probe trained on recorded steps, by the mean loss of the labelled samples of all ranks.

    Statistics of a batch are those of its rank, and the running ones rank 0's.
    """
    probe = LinearProbe(ranks[0][0][0].shape[1], num_classes)
    optimizer = torch.optim.SGD(probe.parameters(), **settings)  # type: ignore[arg-type]
    for batches in zip(*ranks, strict=True):
        first, *others = (features.float() for features, _ in batches)
        normalised = [probe.bn(first), *(batch_norm(x, None, None, training=True) for x in others)]
        labels = torch.cat([labels for _, labels in batches])
        logits = probe.fc(torch.cat(normalised))
        optimizer.zero_grad()
        cross_entropy(logits[labels >= 0], labels[labels >= 0]).backward()
        optimizer.step()
    return probe.state_dict()


def fit(
    probe: OnlineProbe | None, data: TinyData | None = None, lr: float = 0.1, **settings: Any
) -> Any:
    """Train for two epochs beside a recorder; returns the trainer and the recorder."""
    recorder = Recorder()
    probes = [probe] if probe is not None else []
    callbacks: list[pl.Callback] = [SamplesMemory(), KMeansBootstrap(), recorder, *probes]
    torch.manual_seed(0)
    trainer = tiny_trainer(callbacks, **{"max_epochs": 2, **settings})
    module = tiny_module(C, lr=lr)
    module.neck.bn0 = nn.Identity()  # so that a batch may be a single sample
    trainer.fit(module, data or LabelledData())
    return trainer, recorder


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], msg=name)


@pytest.mark.parametrize(
    "settings", [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}]
)
def test_it_is_the_probe_that_the_recorded_steps_give(settings: dict[str, Any]) -> None:
    probe = OnlineProbe(**SETTINGS)
    _, recorder = fit(probe, **settings)
    assert len(recorder.steps) == 2 * 13
    assert any((labels < 0).any() for _, labels in recorder.steps)  # sanity check
    assert_equal(probe.probe.state_dict(), replay([recorder.steps], 2, **SETTINGS))


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_it_is_in_fp32_whatever_the_precision(precision: str) -> None:
    probe = OnlineProbe(**SETTINGS)
    _, recorder = fit(probe, precision=precision)
    assert recorder.steps[0][0].dtype == torch.bfloat16  # sanity check
    for tensor in (*probe.probe.parameters(), *probe.probe.buffers()):
        assert tensor.dtype in (torch.float32, torch.int64)
    assert 0 <= probe.last[METRIC] <= 1


def test_the_score_is_the_share_of_labelled_validation_images() -> None:
    probe, data = OnlineProbe(lr=0.1), LabelledData()
    trainer, _ = fit(probe, data, lr=0.01, max_epochs=20)
    assert data.val_dataset is not None
    truth = torch.from_numpy(data.val_dataset.source.labels)
    with torch.no_grad():
        features = trainer.lightning_module.eval()(data.val_dataset.images)
        predictions = probe.probe.eval()(features).argmax(dim=1)
    expected = (predictions == truth)[truth >= 0].float().mean().item()
    assert probe.last == {METRIC: pytest.approx(expected)}
    assert trainer.callback_metrics[METRIC] == pytest.approx(expected)
    assert expected > 0.8


def test_the_network_is_trained_as_without_it() -> None:
    def state(probe: OnlineProbe | None) -> dict[str, Tensor]:
        trainer, _ = fit(probe)
        module = trainer.lightning_module
        assert len(module.backbone._forward_hooks) == 1  # the recorder's alone
        memory = SamplesMemory.of(trainer).memory.state_dict()
        generator = torch.random.get_rng_state()
        return {**module.state_dict(), **memory, "generator": generator}

    found, expected = state(OnlineProbe()), state(None)
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def test_scores_come_at_every_nth_epoch_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs: list[int] = []

    def score(probe: OnlineProbe, trainer: pl.Trainer, module: pl.LightningModule) -> float:
        epochs.append(trainer.current_epoch)
        return 0.5

    monkeypatch.setattr(OnlineProbe, "_score", score)
    fit(OnlineProbe(every_n_epochs=3), max_epochs=7)
    assert epochs == [2, 5, 6]


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    probe = OnlineProbe(**SETTINGS)
    _, recorder = fit(probe, LabelledData([list(range(1, 30)), list(range(30, 58)), [59]]))
    assert [len(labels) for _, labels in recorder.steps] == 2 * [29, 28, 1]
    steps = [step for step in recorder.steps if len(step[1]) > 1]
    assert_equal(probe.probe.state_dict(), replay([steps], 2, **SETTINGS))


def test_a_batch_without_labels_leaves_the_probe_at_zero() -> None:
    probe, data = OnlineProbe(), LabelledData([list(range(30))])
    data.train_dataset.source.labels[:30] = -1
    fit(probe, data)
    assert not probe.probe.fc.weight.any()
    assert probe.probe.bn.num_batches_tracked == 2


def without_labels(data: LabelledData) -> None:
    data.train_dataset.source.labels = None


def without_any_known(data: LabelledData) -> None:
    assert data.val_dataset is not None
    data.val_dataset.source.labels[:] = -1


def without_validation(data: LabelledData) -> None:
    data.val_dataset = None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_labels, r"no training image has one.*data\.train.*callbacks=default"),
        (without_any_known, r"no validation image has one.*data\.val.*callbacks=default"),
        (without_validation, r"no validation image has one.*data\.val.*callbacks=default"),
    ],
)
def test_missing_labels_are_told_before_training(spoil: Any, message: str) -> None:
    data = LabelledData()
    spoil(data)
    with pytest.raises(ValueError, match=message):
        fit(OnlineProbe(), data)


def test_an_impossible_interval() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        OnlineProbe(every_n_epochs=0)


def test_a_run_of_the_command_and_its_continuation(compose_config: Compose, tmp_path: Path) -> None:
    # Without dropout, whose draws a checkpoint does not hold.
    short = (
        *("experiment=odc_digits", "model.neck.dropout=0", "~callbacks.label_scores"),
        *("data.subset={num_images: 600}", "algorithm.num_clusters=20", "data.batch_size=32"),
        "model.backbone.width=8",
    )

    def checkpoint(run: str, *overrides: str) -> dict[str, Any]:
        train(compose_config(*short, *overrides, run=run))
        return torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)

    probed = "callbacks=online_probe"
    alone = checkpoint("alone", "trainer.max_epochs=1")
    half = checkpoint("half", probed, "trainer.max_epochs=1")
    for name, weight in alone["state_dict"].items():
        assert torch.equal(half["state_dict"][name], weight), name
    whole = checkpoint("whole", probed, "trainer.max_epochs=2")
    last = f"ckpt_path={tmp_path}/half/checkpoints/last.ckpt"
    rest = checkpoint("rest", probed, "trainer.max_epochs=2", last)
    key = OnlineProbe().state_key
    found, expected = rest["callbacks"][key], whole["callbacks"][key]
    assert found["last"] == expected["last"]
    assert found["probe"].keys() == expected["probe"].keys()
    for name, tensor in expected["probe"].items():
        assert torch.equal(found["probe"][name], tensor), name
    momenta = [state["optimizer"]["state"][0]["momentum_buffer"] for state in (found, expected)]
    assert torch.equal(*momenta)
    with (tmp_path / "whole" / "metrics.csv").open(newline="") as file:
        scores = [float(row[METRIC]) for row in csv.DictReader(file) if row[METRIC]]
    assert len(scores) == 2
    assert scores[-1] == expected["last"][METRIC] > 0.3


def partly_labelled_digits(split: Literal["train", "val"]) -> ImageSource:
    """Digits of which two of three have no label; batches hold different numbers of them."""
    source = digits(split)
    assert source.labels is not None
    known = np.random.default_rng(0).random(len(source)) < 1 / 3
    source.labels = np.where(known, source.labels, -1)
    return source


# As a process of its own imports this file.
HERE = "callbacks.monitors.test_online_probe"


@pytest.mark.long
@pytest.mark.ddp
def test_two_processes_train_one_probe(tmp_path: Path) -> None:
    """The gradient is that of all labelled samples, the running statistics are rank 0's."""
    command = [
        *("-m", "odc_lightning.train", "experiment=odc_digits"),
        *("callbacks=online_probe", "~callbacks.label_scores", "trainer.max_epochs=2"),
        *("trainer.devices=2", "trainer.strategy=ddp", "data.num_workers=0"),
        f"data.train._target_={HERE}.partly_labelled_digits",
        f"+callbacks.recorder._target_={HERE}.Recorder",
        f"+callbacks.recorder.folder={tmp_path}",
        f"hydra.run.dir={tmp_path}/run",
    ]
    done = run_python(*command, cwd=tmp_path, environment={"PYTHONPATH": str(TESTS)})
    assert done.returncode == 0, done.stdout + done.stderr
    zero, one = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert zero["pid"] != one["pid"]
    for name, tensor in zero["probe"]["probe"].items():
        assert torch.equal(one["probe"]["probe"][name], tensor), name
    assert zero["probe"]["last"] == one["probe"]["last"]
    counts = [[int((labels >= 0).sum()) for _, labels in rank["steps"]] for rank in (zero, one)]
    assert counts[0] != counts[1]  # sanity check: the ranks do not weigh the same
    settings = {"lr": 0.03, "momentum": 0.9}
    expected = replay([zero["steps"], one["steps"]], 10, **settings)
    assert_equal(zero["probe"]["probe"], expected)


def test_four_views_of_an_image_have_its_label(compose_config: Compose) -> None:
    """Rotation shows each image four times; its probe is still well above chance."""
    overrides = ("experiment=rotation_fashion_mnist", "data=digits", "callbacks=online_probe")
    few = ("data.subset={num_images: 600}", "model.backbone.width=12", "data.batch_size=16")
    config = compose_config(*overrides, *few, "trainer.max_epochs=3")
    trainer = build_trainer(config)
    trainer.fit(build_module(config), datamodule=instantiate(config.data))
    probe = find(trainer, OnlineProbe)
    assert probe is not None
    assert probe.last["eval/online_probe_top1"] > 0.3


def test_a_network_that_trains_on_maps_is_refused(compose_config: Compose) -> None:
    config = compose_config("experiment=colorization_photos", "callbacks=online_probe")
    trainer = build_trainer(config)
    with pytest.raises(ValueError, match=r"trains on maps \(model\.dense=true\).*callbacks="):
        trainer.fit(build_module(config), datamodule=instantiate(config.data))
