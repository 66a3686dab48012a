"""Bars of all of Lightning's loops, on a terminal that is a text file."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from helpers.terminal import Terminal
from helpers.tiny import tiny_trainer
from odc_lightning.callbacks import Progress
from odc_lightning.callbacks.monitors.bars import Bars


class Rows(Dataset[Tensor]):
    """A data set of so many rows."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Tensor:
        return torch.ones(1)


class Endless(IterableDataset[Tensor]):
    """Rows without an end."""

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield torch.ones(1)


class Module(pl.LightningModule):
    """Notes the bars as they are in each batch of each loop, before that batch is done."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: list[str] = []

    def step(self, batch: Tensor) -> Tensor:
        bars = self.trainer.progress_bar_callback._bars  # type: ignore[union-attr]
        tasks = [] if bars is None else bars.tasks
        self.seen += [f"{task.description} {task.completed:.0f}/{task.total}" for task in tasks]
        return self.layer(batch).sum()

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return self.step(batch)

    def validation_step(self, batch: Tensor, index: int, dataloader_idx: int = 0) -> None:
        self.step(batch)

    def test_step(self, batch: Tensor, index: int) -> None:
        self.step(batch)

    def predict_step(self, batch: Tensor, index: int) -> Tensor:
        return self.step(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer_with(*callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    return tiny_trainer([*callbacks], enable_progress_bar=True, **settings)


def test_training_with_validation(terminal: Terminal) -> None:
    """A bar for each data loader, which goes when training continues."""
    module = Module()
    with redirect_stdout(terminal):
        trainer = trainer_with(Progress(), max_epochs=2, num_sanity_val_steps=1)
        trainer.fit(module, DataLoader(Rows(2)), [DataLoader(Rows(2)), DataLoader(Rows(1))])
    check = ["Sanity Checking 0/1"] * 2
    first, second = (
        [
            f"epoch {epoch}/2 0/2",
            f"epoch {epoch}/2 1/2",
            *(f"epoch {epoch}/2 2/2", "Validation 0/2"),
            *(f"epoch {epoch}/2 2/2", "Validation 1/2"),
            *(f"epoch {epoch}/2 2/2", "Validation 0/1"),
        ]
        for epoch in (1, 2)
    )
    assert module.seen == [*check, *first, *second]


@pytest.mark.parametrize(
    ("loop", "name"),
    [("validate", "Validation"), ("test", "Testing"), ("predict", "Predicting")],
)
def test_other_loops(terminal: Terminal, loop: str, name: str) -> None:
    """Their bar stays on the screen."""
    module = Module()
    with redirect_stdout(terminal):
        getattr(trainer_with(Progress()), loop)(module, DataLoader(Rows(3)))
    assert module.seen == [f"{name} {done}/3" for done in range(3)]
    assert terminal.text.rstrip().splitlines()[-1].startswith(name)


def test_a_loader_without_an_end(terminal: Terminal) -> None:
    module = Module()
    with redirect_stdout(terminal):
        trainer = trainer_with(Progress(), max_epochs=-1, max_steps=2)
        trainer.fit(module, DataLoader(Endless()))
        shown = Bars("above")
        shown.add_loop("no end", float("inf"))
        with redirect_stdout(io.StringIO()):
            console = Console(width=60)
            console.print(shown.get_renderable())
            text = console.file.getvalue()  # type: ignore[attr-defined]
    assert module.seen == ["epoch 1 0/2", "epoch 1 1/2"]
    assert text.splitlines()[0] == "above"
    assert "no end" in text
    assert "0/--" in text


def test_another_bar_meanwhile(terminal: Terminal) -> None:
    """As feature extraction draws one at the end of an epoch: below, and away afterwards."""

    class Extract(pl.Callback):
        def on_train_epoch_end(self, *_: Any) -> None:
            for _number in track(range(3), description="features", transient=True):
                pass

    with redirect_stdout(terminal):
        trainer_with(Progress(), Extract()).fit(Module(), DataLoader(Rows(2)))
    assert "features" in terminal.text
    assert terminal.text.rstrip().splitlines()[-1].startswith("epoch 1/1")


def test_an_error_ends_the_drawing(terminal: Terminal) -> None:
    class Fail(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            assert isinstance(sys.stdout, FileProxy)
            assert isinstance(handler.stream, FileProxy)
            raise RuntimeError("no more")

    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(terminal):
            with pytest.raises(RuntimeError, match="no more"):
                trainer_with(Progress(), Fail()).fit(Module(), DataLoader(Rows(2)))
            assert sys.stdout is terminal
    finally:
        logging.getLogger().removeHandler(handler)
    assert handler.stream is terminal


def test_lightning_knows_it_as_its_bar(terminal: Terminal) -> None:
    """So it adds none, disables this one for its tuner, and refuses both choices at once."""
    module, bar = Module(), Progress()
    with redirect_stdout(terminal):
        trainer = trainer_with(bar)
        assert trainer.progress_bar_callback is bar
        assert [c for c in trainer.callbacks if isinstance(c, ProgressBar)] == [bar]  # type: ignore[attr-defined]
        bar.disable()
        assert not bar.is_enabled
        trainer.fit(module, DataLoader(Rows(2)))
        assert module.seen == []
        bar.enable()
        assert bar.is_enabled
        trainer.validate(module, DataLoader(Rows(1)))
        assert module.seen == ["Validation 0/1"]
        with pytest.raises(pl.utilities.exceptions.MisconfigurationException, match="Progress"):
            tiny_trainer([Progress()], enable_progress_bar=False)
