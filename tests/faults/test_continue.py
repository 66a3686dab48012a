"""A run that goes on from a checkpoint is the run that was never stopped."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from conftest import Compose, composer
from helpers.equal_runs import assert_equal_runs, checkpoint, losses
from odc_lightning.callbacks import GracefulStop
from odc_lightning.checkpoints import newest_whole
from odc_lightning.data import ImageSource, IndexedDataset, SubsetSource, digits
from odc_lightning.train import train

SMALL = (
    "data=digits",
    "data.subset={num_images: 300}",
    "model.backbone.width=4",
    "trainer.max_epochs=3",
    "trainer.accelerator=cpu",
    "callbacks.label_scores.knn=false",
)
FEWER = ("algorithm.num_clusters=20", "data.batch_size=32")
ODC = ("experiment=odc_digits", *FEWER, "algorithm.small_clusters.threshold=5")
ALGORITHMS = {
    "odc": ODC,  # with dropout, and splits at most steps
    "odc accumulating": (*ODC, "trainer.accumulate_grad_batches=2"),
    "odc with a last part of a batch": (*ODC, "data.drop_last=false"),
    "odc with workers": (*ODC, "data.num_workers=2"),
    "odc with replacement": (*ODC, "data.sampling_with_replacement=true"),
    "small": ("experiment=odc_small", *FEWER, "optimizer.lr=0.03"),
    "dc": ("experiment=dc_quickstart", *FEWER),
    "dcv2": ("experiment=dcv2_fashion_mnist", *FEWER),
    "rotation": ("experiment=rotation_fashion_mnist", "data.batch_size=32"),
}  # fmt: skip
AT_STEPS = (
    "callbacks.checkpoint.save_top_k=-1",
    "callbacks.checkpoint.every_n_train_steps=1",
    "callbacks.checkpoint.filename='{epoch}-{step}'",
    "+callbacks.checkpoint.save_last=true",
)


# One of them in every test run, all others in `make test-slow`.
OFTEN = ("odc",)


@pytest.mark.parametrize(
    "algorithm",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.long) for name in ALGORITHMS],
)
def test_from_any_step(compose_config: Compose, tmp_path: Path, algorithm: str) -> None:
    """From the middle of an epoch, from its last step, and from its end."""
    settings = (*ALGORITHMS[algorithm], *SMALL)
    train(compose_config(*settings, *AT_STEPS, run="whole"))
    files = (tmp_path / "whole" / "checkpoints").glob("epoch=*-step=*.ckpt")
    by_step = {int(file.stem.rpartition("=")[2]): file for file in files}
    epoch = len(by_step) // 3
    for step in (1, epoch + epoch // 2, epoch, 2 * epoch):
        rest = [row for row in losses(tmp_path / "whole") if int(row[0]) >= step]
        name = f"from_{step}"
        train(compose_config(*settings, *AT_STEPS, f"ckpt_path='{by_step[step]}'", run=name))
        # A folder of its own: the losses are those from there on.
        assert losses(tmp_path / name) == rest
        (tmp_path / name / "metrics.csv").write_bytes(
            (tmp_path / "whole" / "metrics.csv").read_bytes()
        )
        assert_equal_runs(tmp_path / "whole", tmp_path / name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(composer(folder, "train")(*ODC, *SMALL))
    return folder / "run"


class SignalAt(pl.Callback):
    """Sends this very process a signal, at the end of a step as others see it."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        self.step, self.number = step, number
        self.sent = False

    def on_before_backward(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not self.sent:
            self.sent = True
            os.kill(os.getpid(), self.number)


# 9 steps an epoch: in the middle, in the first step of all, in the last step of an epoch.
@pytest.mark.parametrize("step", [13, 0, 8])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_between_steps(
    compose_config: Compose,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: int,
    number: signal.Signals,
) -> None:
    settings = (*ODC, *SMALL)
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with monkeypatch.context() as patched:
        add_callback(patched, SignalAt(step, number))
        with pytest.raises(SystemExit) as left:
            train(compose_config(*settings, run="stopped"))
    assert left.value.code == 128 + number
    assert f"{number.name}: stopped after step {step + 1}" in caplog.text
    assert checkpoint(tmp_path / "stopped")["global_step"] == step + 1
    assert len(losses(tmp_path / "stopped")) == step + 1
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before

    train(compose_config(*settings, "train.resume=auto", run="stopped"))
    assert_equal_runs(whole, tmp_path / "stopped")


@pytest.mark.parametrize("of_a_sweep", [False, True])
def test_a_signal_in_the_very_last_step_ends_no_run_but_a_sweep(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_a_sweep: bool
) -> None:
    add_callback(monkeypatch, SignalAt(26, signal.SIGTERM))
    build = compose_config(*ODC, *SMALL, run="run")
    if of_a_sweep:
        monkeypatch.setattr("odc_lightning.train.in_multirun", lambda: True)
        with pytest.raises(SystemExit) as left:
            train(build)
        assert left.value.code == 128 + signal.SIGTERM
    else:
        assert train(build) is not None
    assert checkpoint(tmp_path / "run")["global_step"] == 27
    assert (tmp_path / "run" / "summary.json").is_file()


def test_submitit_gets_its_signal_when_all_is_saved(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requeue(number: int, frame: Any) -> None:
        assert checkpoint(tmp_path / "run")["global_step"] == 14
        raise SystemExit(144)

    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    former = signal.signal(signal.SIGUSR2, requeue)
    try:
        add_callback(monkeypatch, SignalAt(13, signal.SIGUSR2))
        with pytest.raises(SystemExit) as left:
            train(compose_config(*ODC, *SMALL, run="run"))
        assert signal.getsignal(signal.SIGUSR2) is requeue
    finally:
        signal.signal(signal.SIGUSR2, former)
    assert left.value.code == 144


def test_no_checkpoint_is_of_half_a_step(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal in the first of a step's two batches, and a checkpoint due where a run goes on."""
    settings = (*ODC, *SMALL, "trainer.accumulate_grad_batches=2")
    often = ("callbacks.checkpoint.every_n_train_steps=3",)
    train(compose_config(*settings, *often, run="whole"))
    with monkeypatch.context() as patched:
        add_callback(patched, SignalAt(6, signal.SIGTERM))  # sent before its first batch is over
        with pytest.raises(SystemExit):
            train(compose_config(*settings, *often, run="stopped"))
    assert checkpoint(tmp_path / "stopped")["global_step"] == 7
    with monkeypatch.context() as patched:
        add_callback(patched, Killed(batch=1))
        with pytest.raises(RuntimeError, match="killed"):
            train(compose_config(*settings, "train.resume=auto", *OFTENER, run="stopped"))
    assert checkpoint(tmp_path / "stopped")["global_step"] == 7
    train(compose_config(*settings, *often, "train.resume=auto", run="stopped"))
    assert_equal_runs(tmp_path / "whole", tmp_path / "stopped")


OFTENER = ("callbacks.checkpoint.every_n_train_steps=7",)  # due at the very step of the resume


class Killed(pl.Callback):
    """Ends the run after so many batches, as a kill does."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def on_train_batch_start(self, *_: Any) -> None:
        if self.left == 0:
            raise RuntimeError("killed")
        self.left -= 1


def test_a_second_signal_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: sent.append(given))
    former = signal.getsignal(signal.SIGTERM)
    stop = GracefulStop()
    stop._note(signal.SIGTERM, None)
    assert not sent
    stop._note(signal.SIGTERM, None)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    signal.signal(signal.SIGTERM, former)


def test_an_older_run_in_the_folder_is_not_gone_on_with(
    compose_config: Compose, tmp_path: Path
) -> None:
    """A run that began anew where another one was has fewer steps, and is the newer."""
    settings = (*ODC, *SMALL)
    train(compose_config(*settings))
    train(compose_config(*settings, "trainer.max_epochs=1"))
    folder = tmp_path / "run" / "checkpoints"
    assert newest_whole(folder) == folder / "last.ckpt"
    cut(folder / "last.ckpt")
    assert newest_whole(folder) == folder / "last.previous.ckpt"


def test_a_flipped_bit_anywhere_is_damage(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ckpt"
    torch.save({"global_step": 3, "w": torch.arange(4.0)}, whole)
    content = whole.read_bytes()
    places = np.random.default_rng(0).integers(len(content), size=150)
    refused = 0
    for place in places:
        bits = bytearray(content)
        bits[place] ^= 1 << int(place) % 8
        (tmp_path / "damaged.ckpt").write_bytes(bits)
        # Nothing but a checkpoint of these very steps, or the other file.
        found = newest_whole(tmp_path)
        assert found is not None
        refused += found == whole
    assert refused > 100


def add_callback(patched: pytest.MonkeyPatch, callback: pl.Callback) -> None:
    from odc_lightning.config import build

    of_config = build.build_callbacks

    def with_callback(config: DictConfig) -> list[pl.Callback]:
        callbacks = of_config(config)
        return [*callbacks[:-2], callback, *callbacks[-2:]]

    patched.setattr(build, "build_callbacks", with_callback)


def test_resume_auto_begins_where_there_is_nothing_and_does_nothing_more_at_the_end(
    compose_config: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = (*ODC, *SMALL, "train.resume=auto")
    caplog.set_level(logging.INFO)
    train(compose_config(*settings))
    assert "no checkpoint in" in caplog.text
    before = losses(tmp_path / "run")
    weights = checkpoint(tmp_path / "run")["state_dict"]
    train(compose_config(*settings))
    assert losses(tmp_path / "run") == before
    after = checkpoint(tmp_path / "run")["state_dict"]
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_other_ways_to_ask_are_refused(compose_config: Compose) -> None:
    with pytest.raises(ValueError, match=r"train\.resume=yes; expected auto"):
        train(compose_config(*ODC, *SMALL, "train.resume=yes"))
    with pytest.raises(ValueError, match=r"train\.resume=auto and ckpt_path=x are both given"):
        train(compose_config(*ODC, *SMALL, "train.resume=auto", "ckpt_path=x"))


def test_with_workers_it_is_the_same(compose_config: Compose, tmp_path: Path, whole: Path) -> None:
    settings = (*ODC, *SMALL)
    train(compose_config(*settings, "trainer.max_epochs=1", "data.num_workers=2", run="changed"))
    train(compose_config(*settings, "data.num_workers=0", "train.resume=auto", run="changed"))
    assert_equal_runs(whole, tmp_path / "changed")


def test_an_exception_in_the_data_costs_what_came_after_the_last_checkpoint(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*ODC, *SMALL, "callbacks.checkpoint.every_n_train_steps=4")
    train(compose_config(*settings, run="whole"))
    load, calls = IndexedDataset.__getitem__, 0

    def fail_once(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 900:  # in the second epoch, beyond the bootstrap's 300 and the scores' 300
            raise OSError("the network drive is gone")
        return load(*given)

    with monkeypatch.context() as patched:
        patched.setattr(IndexedDataset, "__getitem__", fail_once)
        with pytest.raises(OSError, match="the network drive is gone"):
            train(compose_config(*settings, run="hit"))
    done = checkpoint(tmp_path / "hit")["global_step"]
    assert done > 0
    assert done % 4 == 0
    train(compose_config(*settings, "train.resume=auto", run="hit"))
    assert_equal_runs(tmp_path / "whole", tmp_path / "hit")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_checkpoint_is_passed_over(
    compose_config: Compose,
    tmp_path: Path,
    whole: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    settings = (*ODC, *SMALL)
    train(compose_config(*settings, "trainer.max_epochs=2", run="hit"))
    folder = tmp_path / "hit" / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"last.ckpt", "last.previous.ckpt"}
    damage(folder / "last.ckpt")
    train(compose_config(*settings, "train.resume=auto", run="hit"))
    assert f"skipping {folder / 'last.ckpt'}" in caplog.text
    assert_equal_runs(whole, tmp_path / "hit")


def test_a_full_disk_leaves_the_last_good_checkpoint(
    compose_config: Compose, tmp_path: Path
) -> None:
    settings = (*ODC, *SMALL)
    train(compose_config(*settings, "trainer.max_epochs=1"))
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    # What is written there finds no room, as the system says it of a full disk.
    last.with_name("last.ckpt.part").symlink_to("/dev/full")
    with pytest.raises(ValueError, match=r"No space left on device.*the last good one is .*last"):
        train(compose_config(*settings, "train.resume=auto"))
    assert last.read_bytes() == content
    assert newest_whole(last.parent) == last


def test_other_images_are_refused_and_nothing_is_lost(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*ODC, *SMALL)
    train(compose_config(*settings, "trainer.max_epochs=1"))
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"300 there, 299 here.*image 299 is missing"):
        train(compose_config(*settings, "data.subset={num_images: 299}", "train.resume=auto"))

    def reordered(split: str) -> ImageSource:
        source = digits(split)  # type: ignore[arg-type]
        return SubsetSource(source, np.roll(np.arange(len(source)), 1))

    monkeypatch.setattr("odc_lightning.data.digits", reordered)
    with pytest.raises(ValueError, match=r"300 of the first 300 differ.*and was 'digits/"):
        train(compose_config(*settings, "train.resume=auto"))
    for path, content in before.items():
        assert path.read_bytes() == content, path


@pytest.mark.parametrize("moved", [True, False])
def test_files_are_known_by_their_names(
    compose_config: Compose, tmp_path: Path, moved: bool
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    source = digits("train")
    for index in range(60):
        source.load(index).resize((16, 16)).save(photos / f"{index:03}.png")
    folder = ("experiment=odc_digits", "data=image_folder", "data.image_size=16", *FEWER)
    few = ("algorithm.num_clusters=5", "algorithm.small_clusters.threshold=2", "data.batch_size=16")
    settings = (*folder, *few, "model.backbone.width=4", "trainer.accelerator=cpu")
    short = ("callbacks.label_scores.knn=false", "data.num_workers=0")
    train(compose_config(*settings, *short, f"data.root={photos}", "trainer.max_epochs=1"))
    again = (*settings, *short, "trainer.max_epochs=2", "train.resume=auto")
    if moved:
        elsewhere = tmp_path / "elsewhere"
        photos.rename(elsewhere)
        assert train(compose_config(*again, f"data.root={elsewhere}")) is not None
    else:
        (photos / "007.png").rename(photos / "9.png")
        with pytest.raises(ValueError, match=r"image 7 is '008\.png', and was '007\.png'"):
            train(compose_config(*again, f"data.root={photos}"))
