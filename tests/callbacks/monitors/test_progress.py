"""The bar, what is above it, the lines that stand for both in a log, and the speed."""

import logging
import re
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import rich
import torch
from rich.console import Console
from rich.file_proxy import FileProxy

from helpers.terminal import Terminal
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    ClusterSizeMonitor,
    HealthMonitor,
    KMeansBootstrap,
    LabelSwitchMonitor,
    SamplesMemory,
)
from odc_lightning.callbacks.monitors import epoch_measurement
from odc_lightning.callbacks.monitors import progress as progress_module
from odc_lightning.callbacks.monitors.epoch_measurement import EpochMeasurement
from odc_lightning.callbacks.monitors.live_view import LiveView
from odc_lightning.callbacks.monitors.progress import Progress
from odc_lightning.callbacks.monitors.status import status_line
from odc_lightning.callbacks.monitors.throughput import Throughput

N, C, B = 48, 4, 16
LINE = r"  loss \d+\.\d\d  switch [01]\.\d\d  clusters \d+-\d+  [\d,]+ images/s"


class Clock(pl.Callback):
    """Seconds of a clock that stands still but for a step, what follows an epoch, and the start."""

    def __init__(self, patched: pytest.MonkeyPatch, step: float, epoch: float = 0.0) -> None:
        self.step, self.epoch = step, epoch
        self.now = 0.0
        patched.setattr(progress_module, "monotonic", lambda: self.now)

    def on_train_start(self, *_: Any) -> None:
        self.now += 3600  # the bootstrap

    def on_train_batch_end(self, *_: Any) -> None:
        self.now += self.step

    def on_train_epoch_end(self, *_: Any) -> None:
        self.now += self.epoch


def fit(
    *extra: pl.Callback,
    data: TinyData | None = None,
    ckpt_path: Path | None = None,
    **settings: Any,
) -> pl.Trainer:
    callbacks = [
        SamplesMemory(),
        KMeansBootstrap(backend="torch"),
        ClusterSizeMonitor(),
        LabelSwitchMonitor(),
        Throughput(),
        *extra,
    ]
    trainer = tiny_trainer(callbacks, **{"enable_progress_bar": True, **settings})
    trainer.fit(tiny_module(C), datamodule=data or TinyData(N, B), ckpt_path=ckpt_path)
    return trainer


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich, "_console", Console(force_interactive=False))


class TestStatus:
    def test_status_line(self) -> None:
        metrics = {
            "train/loss": torch.tensor(2.412),
            "odc/label_switch_ratio": torch.tensor(0.3125),
            "odc/cluster_size_min": torch.tensor(22.0),
            "odc/cluster_size_max": torch.tensor(1087.0),
            "eval/nmi": torch.tensor(0.5),
        }
        expected = "loss 2.41  switch 0.31  clusters 22-1,087  5,120 images/s"
        assert status_line(metrics, 5120.3) == expected
        del metrics["odc/cluster_size_min"]
        assert status_line(metrics, None) == "loss 2.41  switch 0.31"
        assert status_line({}, None) == ""


@pytest.mark.usefixtures("no_terminal")
class TestLines:
    def lines(self, capsys: pytest.CaptureFixture[str]) -> list[str]:
        return [line for line in capsys.readouterr().out.splitlines() if "epoch" in line]

    def test_one_line_an_epoch(self, capsys: pytest.CaptureFixture[str]) -> None:
        fit(Progress(), max_epochs=3)
        lines = self.lines(capsys)
        assert len(lines) == 3
        for number, line in enumerate(lines, start=1):
            assert re.fullmatch(rf"epoch {number}/3{LINE}  ETA 0:0\d", line)
        assert lines[-1].endswith("ETA 0:00")

    def test_max_steps(self, capsys: pytest.CaptureFixture[str]) -> None:
        fit(Progress(), max_epochs=-1, max_steps=5)
        first, second = self.lines(capsys)
        assert re.fullmatch(rf"epoch 1{LINE}  ETA 0:0\d", first)
        assert re.fullmatch(rf"epoch 2{LINE}  ETA 0:00", second)

    def test_a_run_without_end_has_no_eta(self, capsys: pytest.CaptureFixture[str]) -> None:
        class Stop(pl.Callback):
            def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
                trainer.should_stop = True

        fit(Progress(), Stop(), max_epochs=-1)
        (line,) = self.lines(capsys)
        assert re.fullmatch(rf"epoch 1{LINE}", line)

    def test_eta_is_that_of_the_whole_run(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fit(clock := Clock(monkeypatch, step=100), Progress(), max_epochs=3)
        assert clock.now > 3600
        # 3 steps an epoch: 6, 3 and 0 are left.
        etas = [line.rsplit("ETA ")[1] for line in self.lines(capsys)]
        assert etas == ["10:00", "5:00", "0:00"]

    def test_eta_counts_what_follows_each_epoch(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fit(Clock(monkeypatch, step=100, epoch=60), Progress(), max_epochs=3)
        etas = [line.rsplit("ETA ")[1] for line in self.lines(capsys)]
        assert etas == ["12:00", "6:00", "0:00"]


@pytest.mark.usefixtures("no_terminal")
class TestTimeLeft:
    """The log line of a run: 3 steps an epoch, the first after 8 steps."""

    def lines(
        self, caplog: pytest.LogCaptureFixture, *callbacks: pl.Callback, **settings: Any
    ) -> Any:
        with caplog.at_level(logging.INFO, logger="odc_lightning"):
            fit(*callbacks, Progress(), **settings)
        return [message for message in caplog.messages if "of training left" in message]

    def test_it_is_said_once(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = self.lines(caplog, Clock(monkeypatch, step=2, epoch=6), max_epochs=30)
        # 82 of 90 steps, and 28 ends of epochs: that of the third is to come.
        assert lines == [
            "about 5.5 minutes of training left: 82 steps of 2 s, and 6 s after each epoch"
        ]

    def test_measurements_before_training_tell_of_those_after_epochs(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Measure(EpochMeasurement):
            every_n_epochs = 2

            def on_train_start(self, *_: Any) -> None:
                with self.first():
                    clock.now += 8

        clock = Clock(monkeypatch, step=2)
        monkeypatch.setattr(epoch_measurement, "monotonic", lambda: clock.now)
        data = TinyData(20 * B, B)
        (line,) = self.lines(caplog, clock, Measure(), max_epochs=3, data=data)
        assert line == (
            "about 1.9 minutes of training left: 52 steps of 2 s, and 4 s after each epoch"
        )

    def test_max_steps(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = self.lines(caplog, Clock(monkeypatch, step=30), max_epochs=-1, max_steps=14)
        assert lines == ["about 3 minutes of training left: 6 steps of 30 s"]

    def test_max_time(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch, step=30)
        lines = self.lines(caplog, clock, max_epochs=5, max_time={"minutes": 3})
        assert lines == ["about 3 minutes of training left: the rest of trainer.max_time"]

    def test_gradients_that_are_accumulated(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The 3 batches of an epoch are 2 steps, of 2 batches and of 1."""
        clock = Clock(monkeypatch, step=20)
        (line,) = self.lines(caplog, clock, max_epochs=10, accumulate_grad_batches=2)
        # The first 3 of 8 steps do not count; the others have 20, 40, 20, 40 and 20 seconds.
        assert line == "about 5.6 minutes of training left: 12 steps of 28 s"

    def test_a_short_run_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        assert self.lines(caplog, max_epochs=4) == []

    def test_a_resumed_run_says_what_is_left(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        trainer = fit(max_epochs=4, enable_progress_bar=False)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        clock = Clock(monkeypatch, step=30)
        with caplog.at_level(logging.INFO, logger="odc_lightning"):
            fit(clock, Progress(), max_epochs=8, ckpt_path=tmp_path / "last.ckpt")
        lines = [message for message in caplog.messages if "of training left" in message]
        assert lines == ["about 2 minutes of training left: 4 steps of 30 s"]


class TestBar:
    def test_bar_and_no_lines(self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_READS", 0.0)
        with redirect_stdout(terminal):
            monitor = HealthMonitor()
            monitor.latest = "it collapses"
            fit(monitor, Progress(), max_epochs=2)
        text = terminal.text
        *_, top, loss, switch, clusters, health, bottom, bar = text.rstrip().splitlines()
        assert re.fullmatch(r"epoch 2/2 ━+ 3/3 ETA 0:00 [\d,]+ images/s", bar.rstrip())
        assert re.fullmatch(r"│ loss +[▁-█]{8} +\d\.\d\d -> \d\.\d\d +│", loss)
        assert re.fullmatch(r"│ switch +[▁-█]{8} +[01]\.\d\d -> [01]\.\d\d +│", switch)
        assert re.fullmatch(r"│ clusters [▁-█ ]+ +\d+-\d+ +│", clusters)
        assert re.fullmatch(r"│ health +it collapses +│", health)
        assert (top[0], bottom[0]) == ("╭", "╰")
        assert len({len(line) for line in (top, loss, switch, clusters, health, bottom)}) == 1
        assert "\nepoch 1/2  loss" not in text

    def test_metrics_are_read_seldom(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reads: list[float] = []

        def count(view: LiveView, *_: Any) -> None:
            reads.append(time.monotonic())

        monkeypatch.setattr(LiveView, "update", count)
        monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_READS", 1e9)
        with redirect_stdout(terminal):
            fit(Progress(), max_epochs=4)
        assert len(reads) == 1

    def test_logs_go_above_the_bar(self, terminal: Terminal) -> None:
        handler = logging.StreamHandler(terminal)
        streams: list[Any] = []

        class Look(pl.Callback):
            def on_train_batch_end(self, *_: Any) -> None:
                streams.append(handler.stream)

        logging.getLogger().addHandler(handler)
        try:
            with redirect_stdout(terminal):
                fit(Progress(), Look())
        finally:
            logging.getLogger().removeHandler(handler)
        assert all(isinstance(stream, FileProxy) for stream in streams)
        assert len(streams) == 3
        assert handler.stream is terminal


class TestThroughput:
    def test_counts_training_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 0.0
        monkeypatch.setattr("odc_lightning.callbacks.monitors.throughput.perf_counter", lambda: now)
        trainer: Any = SimpleNamespace(world_size=2)
        module, batch = tiny_module(C), {"index": torch.arange(10)}
        meter = Throughput()
        assert meter.images_per_second is None

        def step(wait: float, work: float) -> None:
            nonlocal now
            now += wait
            meter.on_train_batch_start(trainer, module, batch, 0)
            now += work
            meter.on_train_batch_end(trainer, module, None, batch, 0)

        step(100.0, 1.0)  # the bootstrap comes first
        step(0.5, 1.0)
        meter.on_validation_start(trainer, module)
        step(50.0, 1.0)
        meter.on_train_epoch_end(trainer, module)
        step(70.0, 1.0)
        assert meter.num_images == 80
        assert meter.seconds == 4.5
        assert meter.images_per_second == pytest.approx(80 / 4.5)

    def test_in_a_run(self) -> None:
        trainer = fit(max_epochs=2, enable_progress_bar=False)
        (meter,) = [c for c in trainer.callbacks if isinstance(c, Throughput)]  # type: ignore[attr-defined]
        assert meter.num_images == 2 * N
        assert meter.seconds > 0
