"""Rotation prediction in a real training: what the step sees, what is logged, that it learns."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Compose
from helpers.pretext_runs import DIGITS, last_metrics
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import Rotation
from odc_lightning.train import train


class Seen(Rotation):
    """Keeps the shapes of the steps and what was logged."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.logged: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.rows.append(
            (*batch["image"].shape[:2], len(batch["target"]), len(outputs["features"]))
        )
        scores = pl_module.head(outputs["features"])
        right = (scores.argmax(1) == batch["target"]).float().mean()
        assert trainer.callback_metrics["train/accuracy"] == right
        self.logged.append(float(right))


def tiny_data(num_samples: int) -> TinyData:
    data = TinyData(num_samples, 4)
    data.val_dataset = None  # type: ignore[attr-defined]
    return data


def test_a_step_has_four_rows_an_image() -> None:
    seen = Seen()
    tiny_trainer([seen], log_every_n_steps=1).fit(tiny_module(4), datamodule=tiny_data(16))
    assert seen.rows == [(4, 4, 16, 16)] * 4
    assert all(0 <= share <= 1 for share in seen.logged)


def test_a_head_of_another_width_is_refused() -> None:
    message = r"the head has 5 outputs and there are 4 rotations; set algorithm\.num_clusters=4"
    with pytest.raises(ValueError, match=message):
        tiny_trainer([Rotation()]).fit(tiny_module(5), datamodule=tiny_data(16))


@pytest.mark.renders
def test_it_beats_chance_on_digits(
    compose_config: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A validation digit is turned rightly three times as often as by guessing."""
    summary: Any = train(
        compose_config(
            *("experiment=rotation_fashion_mnist", *DIGITS, "trainer.max_epochs=3"),
            *("data.batch_size=32", "model.backbone.width=12"),
        )
    )
    metrics = last_metrics(tmp_path / "run")
    assert metrics["eval/pretext_accuracy"] > 0.75
    assert metrics["train/accuracy"] > 0.6
    assert metrics["eval/pretext_loss"] < 0.7
    assert summary["train_loss"] < 1.1
    assert summary["targets"] == "rotations"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["targets"] == "rotations"
    out = capsys.readouterr().out
    assert "1,437 images in 4 rotations" in out
    assert "(chance, ln C: 1.39)" in out
    assert "  accuracy 0." in out


def test_gradients_are_accumulated_and_a_run_is_continued(
    compose_config: Compose, tmp_path: Path
) -> None:
    """Two epochs, or one and another, give the same network."""
    settings = (
        "experiment=rotation_fashion_mnist",
        *DIGITS,
        "trainer.accumulate_grad_batches=2",
        "callbacks.label_scores.knn=false",
        "data.subset={num_images: 512}",
    )
    train(compose_config(*settings, "trainer.max_epochs=2", run="straight"))
    train(compose_config(*settings, "trainer.max_epochs=1", run="first"))
    stopped = tmp_path / "first" / "checkpoints" / "last.ckpt"
    train(compose_config(*settings, "trainer.max_epochs=2", f"ckpt_path={stopped}", run="second"))
    straight, second = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in ("straight", "second")
    )
    assert straight.keys() == second.keys()
    for name in straight:
        assert torch.equal(straight[name], second[name]), name


def test_several_views_of_an_image_are_refused(compose_config: Compose) -> None:
    config = compose_config("experiment=rotation_fashion_mnist", "data=digits", "data.num_views=2")
    with pytest.raises(ValueError, match=r"data\.num_views=2: .*set data\.num_views=1"):
        train(config)
