"""A step on a GPU waits for events alone, which torch does not report."""

from pathlib import Path

import pytest
from benchmarks.gpu.waits import LAST, Waits, set_mode

from helpers.step_callbacks import step_callbacks
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning import callbacks


@pytest.mark.gpu
def test_torch_reports_no_wait_in_a_step(tmp_path: Path) -> None:
    watch = Waits()
    parts = [*step_callbacks(), callbacks.FiniteCheck(str(tmp_path)), watch]
    settings = {"accelerator": "gpu", "max_steps": LAST + 3, "log_every_n_steps": 1000}
    trainer = tiny_trainer(callbacks.in_order(parts), **settings)
    try:
        trainer.fit(tiny_module(4), datamodule=TinyData(480, 16))
    finally:
        set_mode("default")
    assert watch.found == {}
