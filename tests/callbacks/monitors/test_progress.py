"""The bar, what is above it, the lines that stand for both in a log, and the speed."""

import logging
import math
import re
import time
from contextlib import redirect_stdout
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
from odc_lightning.callbacks.monitors import progress as progress_module
from odc_lightning.callbacks.monitors.live_view import LiveView
from odc_lightning.callbacks.monitors.progress import Progress
from odc_lightning.callbacks.monitors.status import remaining_seconds, status_line
from odc_lightning.callbacks.monitors.throughput import Throughput

N, C, B = 48, 4, 16
LINE = r"  loss \d+\.\d\d  switch [01]\.\d\d  clusters \d+-\d+  [\d,]+ images/s"


def fit(*extra: pl.Callback, **settings: Any) -> pl.Trainer:
    callbacks = [
        SamplesMemory(),
        KMeansBootstrap(backend="torch"),
        ClusterSizeMonitor(),
        LabelSwitchMonitor(),
        Throughput(),
        *extra,
    ]
    trainer = tiny_trainer(callbacks, **{"enable_progress_bar": True, **settings})
    trainer.fit(tiny_module(C), datamodule=TinyData(N, B))
    return trainer


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich, "_console", Console(force_interactive=False))


class TestPureFunctions:
    @pytest.mark.parametrize(
        ("elapsed", "done", "total", "expected"),
        [
            (10, 5, 20, 30),
            (10, 20, 20, 0),
            (10, 25, 20, 0),
            (0, 0, 20, None),
            (10, 5, math.inf, None),
        ],
    )
    def test_remaining_seconds(
        self, elapsed: float, done: int, total: float, expected: float | None
    ) -> None:
        assert remaining_seconds(elapsed, done, total) == expected

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
        class Clock(pl.Callback):
            """A step takes 100 seconds, the bootstrap took an hour."""

            def on_train_start(self, *_: Any) -> None:
                self.now += 3600

            def on_train_batch_end(self, *_: Any) -> None:
                self.now += 100

            now = 0.0

        clock = Clock()
        monkeypatch.setattr(progress_module, "monotonic", lambda: clock.now)
        fit(clock, Progress(), max_epochs=3)
        # 3 steps an epoch: 6, 3 and 0 are left.
        etas = [line.rsplit("ETA ")[1] for line in self.lines(capsys)]
        assert etas == ["10:00", "5:00", "0:00"]


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
