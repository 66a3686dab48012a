"""Numbers of a step are logged where the loggers, or the line of an epoch, take them."""

from typing import Any

import pytest
import pytorch_lightning as pl

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import KMeansBootstrap, LabelSwitchMonitor, SamplesMemory
from odc_lightning.utils.logged_steps import is_logged


class Logged(pl.Callback):
    """The steps that are logged, by `is_logged` in a hook of callbacks."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if is_logged(trainer):
            self.steps.append(trainer.global_step)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_epochs": 2, "log_every_n_steps": 4}, [4, 6, 8, 12]),  # 6 steps an epoch
        ({"max_steps": 9, "max_epochs": -1, "log_every_n_steps": 50}, [6, 9]),
    ],
)
def test_every_nth_step_and_the_last(settings: dict[str, Any], expected: list[int]) -> None:
    logged = Logged()
    parts = [SamplesMemory(), KMeansBootstrap(), LabelSwitchMonitor(), logged]
    trainer = tiny_trainer(parts, **settings)
    trainer.fit(tiny_module(4), datamodule=TinyData(96, 16))
    assert logged.steps == expected
    assert {"train/loss", "odc/label_switch_ratio"} <= set(trainer.callback_metrics)


def test_without_a_trainer_there_is_no_log() -> None:
    assert not is_logged(None)
